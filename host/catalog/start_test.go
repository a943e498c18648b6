package catalog

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/child"
)

func checksum(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	zero := strings.Repeat("0", 64)
	self, _ := os.Executable()
	sum := checksum(t, self)
	pin := func(s Source, sum string) Source { s.SHA256 = sum; return s }
	tests := []struct {
		name   string
		source Source
		reason child.Reason
		want   string // behind "plugin NAME: PATH: "
	}{
		{"missing", Source{Program: child.Program{Path: filepath.Join(dir, "none"), TLS: true}}, child.ReasonMissing, "the file does not exist"},
		{"directory", Source{Program: child.Program{Path: dir, TLS: true}}, child.ReasonDirectory, "is a directory, not a binary"},
		{"not executable", Source{Program: child.Program{Path: plain, TLS: true}}, child.ReasonNotExecutable, "the file is not executable (-rw-r--r--)"},
		{"exec", Source{Program: child.Program{Path: broken, TLS: true}}, child.ReasonExec, "cannot be executed: exec format error"},
		{"checksum", pin(source(t, "", "good"), zero), child.ReasonChecksum, "the SHA-256 checksum is " + sum + ", but " + zero + " is pinned"},
		{"bad pin", pin(source(t, "", "good"), "abc"), child.ReasonChecksum, "sha256 is not a SHA-256 checksum of 64 hexadecimal digits"},
		{"text", source(t, "", "text"), child.ReasonHandshake, `is not a plugin: it printed "hello[31m, client_secret=[hidden]" where the handshake is due`},
		{"exit", source(t, "", "exit"), child.ReasonHandshake, `is not a plugin: it ended (exit status 3) without a handshake; it printed "no configuration found"`},
		{"silent", source(t, "", "silent"), child.ReasonTimeout, `no handshake within 5s; it printed "waiting for a license"`},
		{"old", source(t, "", "old"), child.ReasonProtocol, "speaks version 7 of the plugin contract, the host speaks 1"},
		{"mute", source(t, "", "mute"), ReasonDescribe, "does not say what it offers within 5s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tt.source
			s.Name = "p"
			w := newWorld(t, func(o *Options) {
				if tt.reason == child.ReasonTimeout {
					o.StartTimeout = 5 * time.Second
				}
				if tt.reason == ReasonDescribe {
					o.DescribeTimeout = 5 * time.Second
				}
			}, s)
			got := w.Plugins()[0]
			if got.State != StateFailed || got.PID != 0 {
				t.Errorf("%+v", got)
			}
			if want := "plugin p: " + s.Path + ": " + tt.want; got.LastError != want {
				t.Errorf("got  %s\nwant %s", got.LastError, want)
			}
			var e *StartError
			if p := w.plugins[0]; !as(p.err, &e) || e.Reason != tt.reason {
				t.Errorf("reason of %#v", p.err)
			}
			if n := w.sockets(t); len(n) > 0 {
				t.Errorf("left: %v", n)
			}
		})
	}
}

func TestPinnedStarts(t *testing.T) {
	t.Parallel()
	s := source(t, "good", "good")
	sum := checksum(t, s.Path)
	s.SHA256 = strings.ToUpper(sum)
	w := newWorld(t, nil, s)
	got := w.Plugins()[0]
	if got.State != StateReady || got.Version != "1.2.3" || got.Build != "test" || got.PID == 0 || len(got.Offers) != len(implementations("badge")) {
		t.Errorf("%+v", got)
	}
}

func TestWithTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, secured(t, "good", "good"))
	if got, err := w.mapSubject(t, w.mapper(t, ""), "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
}

// TestWorkingDirectory: a relative path means the same in a part's settings as everywhere else in the configuration.
func TestWorkingDirectory(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil, source(t, "good", "good"))
	if got, err := w.mapSubject(t, w.mapper(t, "where"), "r1", "x"); err != nil || got.Name != here {
		t.Errorf("%q, %v; want %q", got.Name, err, here)
	}
}

func TestClash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "first", "good"), source(t, "second", "clash"), source(t, "third", "other"), source(t, "third", "other"))
	all := w.Plugins()
	states := []State{}
	for _, p := range all {
		states = append(states, p.State)
	}
	if want := []State{StateReady, StateFailed, StateReady, StateFailed}; !slices.Equal(states, want) {
		t.Fatalf("%v, want %v", states, want)
	}
	self := all[0].Path
	if got, want := all[1].LastError, "plugin second: "+self+`: offers the principal-mapper of type "badge", which plugin first (`+self+`) offers already`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := all[3].LastError, "plugin third: "+self+": has the same name as "+self; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDeclaredReplacesBundled(t *testing.T) {
	t.Parallel()
	bundled := source(t, "x", "exit")
	bundled.Bundled = true
	w := newWorld(t, nil, bundled, source(t, "x", "good"))
	if got := w.Plugins(); len(got) != 1 || got[0].State != StateReady || got[0].Bundled {
		t.Errorf("%+v", got)
	}
}

func TestStartAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "late")
	late := source(t, "late", "good")
	self := late.Path
	late.Path = path
	w := newWorld(t, nil, late, source(t, "other", "other"))
	before := w.Plugins()
	if before[0].State != StateFailed || before[1].State != StateReady {
		t.Fatalf("%+v", before)
	}
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	w.Prepare(t.Context(), []Source{late, source(t, "other", "other")})
	after := w.Plugins()
	if len(after) != 2 || after[0].State != StateReady || after[1].PID != before[1].PID {
		t.Errorf("%+v", after)
	}
}

func TestBundled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"realmgate-plugin-b": 0o755, "realmgate-plugin-a": 0o755, "realmgate-plugin-c": 0o644, "realmgate": 0o755, "realmgate-plugin-": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "realmgate-plugin-d"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Bundled(dir)
	if err != nil || len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" || !got[0].TLS || !got[0].Bundled || got[0].Path != filepath.Join(dir, "realmgate-plugin-a") {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := Bundled(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing directory is no error")
	}
}

func TestNewRefusesLongDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 80))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{RuntimeDir: dir}); err == nil {
		t.Error("a directory too long for a socket was taken")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
