package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is the client's own, read again when one of its files changes.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	kept    *tls.Certificate
	changed [2]time.Time
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
	_, err := c.current()
	return c, err
}

// current goes on with the former certificate while the files are in disorder, e.g. while they are being replaced.
func (c *certificate) current() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh, at, err := c.read()
	if err != nil && c.kept == nil {
		return nil, err
	}
	if err == nil && fresh != nil {
		c.kept, c.changed = fresh, at
	}
	return c.kept, nil
}

// read gives nil if nothing changed.
func (c *certificate) read() (*tls.Certificate, [2]time.Time, error) {
	var at [2]time.Time
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, at, err
		}
		if name == c.keyFile && info.Mode().Perm()&0o007 != 0 {
			return nil, at, fmt.Errorf("%s is accessible to others (mode %#o); a private key is its owner's", name, info.Mode().Perm())
		}
		at[i] = info.ModTime()
	}
	if c.kept != nil && at == c.changed {
		return nil, at, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, at, errors.New("the client certificate and its key are not a pair in PEM")
	}
	return &pair, at, nil
}
