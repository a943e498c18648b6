package client

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"

	"github.com/realmgate/realmgate/sdk/egress"
)

// maxCertFile bounds a file of the client certificate, with its chain, in bytes.
const maxCertFile = 1 << 20

// certificate is the client's own, read again when one of its files changes.
type certificate struct {
	certFile, keyFile string

	mu          sync.Mutex
	kept        *tls.Certificate
	fingerprint string         // of kept
	of          [2]fs.FileInfo // the files that kept was read from
}

// certificate gives nil without one.
func (s *Server) certificate() (*certificate, error) {
	if s.CertFile == "" && s.KeyFile == "" {
		return nil, nil
	}
	if s.CertFile == "" || s.KeyFile == "" {
		return nil, errors.New("client_cert_file and client_key_file go together")
	}
	c := &certificate{certFile: s.CertFile, keyFile: s.KeyFile}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// current gives the certificate and what tells it from another one. It goes on with the former one while the files are in
// disorder, e.g. while they are being replaced.
func (c *certificate) current() (*tls.Certificate, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed() {
		_ = c.read() // it is tried again at the next question
	}
	return c.kept, c.fingerprint
}

func (c *certificate) changed() bool {
	for i, name := range []string{c.certFile, c.keyFile} {
		now, err := os.Stat(name)
		if was := c.of[i]; err != nil || !os.SameFile(was, now) || !was.ModTime().Equal(now.ModTime()) || was.Size() != now.Size() {
			return true
		}
	}
	return false
}

// read keeps what was there before if it fails.
func (c *certificate) read() error {
	cert, certInfo, err := egress.ReadFile(c.certFile, maxCertFile)
	if err != nil {
		return err
	}
	key, keyInfo, err := egress.ReadFile(c.keyFile, maxCertFile)
	if err != nil {
		return err
	}
	if mode := keyInfo.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("%s is accessible to others (mode %#o); a private key is its owner's", c.keyFile, mode)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return errors.New("the client certificate and its key are not a pair in PEM")
	}
	h := sha256.New()
	for _, der := range pair.Certificate {
		h.Write(der)
	}
	c.kept, c.fingerprint, c.of = &pair, hex.EncodeToString(h.Sum(nil)), [2]fs.FileInfo{certInfo, keyInfo}
	return nil
}

// transports sends each question with the certificate that the files have now: a connection keeps the one that it was made with,
// so that each certificate has a transport, with connections, of its own.
type transports struct {
	own   *certificate // nil: none
	build func(*tls.Certificate) *http.Transport

	mu          sync.Mutex
	current     *http.Transport
	fingerprint string // of its certificate
}

// RoundTrip is http.RoundTripper's.
func (t *transports) RoundTrip(r *http.Request) (*http.Response, error) { return t.now().RoundTrip(r) }

func (t *transports) now() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	var cert *tls.Certificate
	var is string
	if t.own != nil {
		cert, is = t.own.current()
	}
	if t.current == nil || is != t.fingerprint {
		if t.current != nil {
			t.current.CloseIdleConnections() // those in use end when they have been idle for a while
		}
		t.current, t.fingerprint = t.build(cert), is
	}
	return t.current
}

// close ends idle connections.
func (t *transports) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil {
		t.current.CloseIdleConnections()
	}
}
