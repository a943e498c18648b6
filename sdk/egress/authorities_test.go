package egress

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAuthorities(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", own)
	reaches := func(o Options) bool {
		answer, err := NewClient(o).Get(s.URL)
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil
	}
	both, err := Authorities(good)
	if err != nil || !reaches(Options{RootCAs: both}) {
		t.Errorf("those of a file: %v", err)
	}
	only, err := OnlyAuthorities(own)
	alone := x509.NewCertPool()
	alone.AddCert(s.Certificate())
	if err != nil || !reaches(Options{RootCAs: only}) || !only.Equal(alone) {
		t.Errorf("those of a text: %v", err)
	}
	if system, err := x509.SystemCertPool(); err == nil {
		system.AddCert(s.Certificate())
		if !both.Equal(system) {
			t.Error("the system's are not beside those of the file")
		}
	}
	if none, err := Authorities(""); none != nil || err != nil || reaches(Options{RootCAs: none}) {
		t.Errorf("the system's alone: %v %v", none, err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file", dir: "not a regular file", pipe: "not a regular file", write("junk", []byte("x")): "no certificate in PEM",
		write("long", bytes.Repeat([]byte("x"), maxPEM+1)): "longer than 1048576 bytes",
	} {
		if _, err := Authorities(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	if _, err := OnlyAuthorities([]byte("x")); err == nil {
		t.Error("no certificate at all")
	}
}
