package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/realmgate/realmgate/host/config"
)

// tlsConfig loads what a listener's tls block names. A client CA makes client certificates required.
func tlsConfig(c *config.TLS) (*tls.Config, error) {
	if c == nil {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: c.MinVersion}
	if c.ClientCAFile == "" {
		return out, nil
	}
	if out.ClientCAs, err = clientAuthorities(c.ClientCAFile); err != nil {
		return nil, err
	}
	out.ClientAuth = tls.RequireAndVerifyClientCert
	return out, nil
}

// clientAuthorities reads those whose client certificates a listener takes.
func clientAuthorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load client_ca_file: %w", err)
	}
	out := x509.NewCertPool()
	if !out.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client_ca_file %s holds no certificate", path)
	}
	return out, nil
}
