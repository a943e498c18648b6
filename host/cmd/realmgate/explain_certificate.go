package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
)

// maxChain bounds the file of a client certificate, in bytes.
const maxChain = 16 << 10

// readChain reads the file of a client certificate, of which nothing but certificates leaves this process.
func readChain(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("--client-certificate: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxChain+1))
	if err == nil {
		_, err = chainOf(string(text))
	}
	if err != nil {
		return "", fmt.Errorf("--client-certificate %s: %w", path, err)
	}
	return string(text), nil
}

// chainOf reads a client certificate in PEM (RFC 7468) and those of the authorities behind it. Nothing else may be in the text: a
// private key has no business here.
func chainOf(text string) (chain []*x509.Certificate, err error) {
	if len(text) > maxChain {
		return nil, fmt.Errorf("it is longer than %d bytes", maxChain)
	}
	for rest := []byte(text); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if strings.Contains(b.Type, "PRIVATE KEY") {
			return nil, errors.New("it has a private key in it: give the certificate alone")
		}
		if b.Type != "CERTIFICATE" {
			return nil, errors.New("it has more in it than certificates")
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("it has no certificate in PEM in it")
	}
	return chain, nil
}

// explainedCertificate tells whose a client certificate is, and which listeners would take it. Without a handshake nobody has
// proven to have its key.
func explainedCertificate(chain []*x509.Certificate, listeners []config.Listener, now time.Time) *admin.ExplainedCertificate {
	c := chain[0]
	sum := sha256.Sum256(c.Raw)
	out := &admin.ExplainedCertificate{
		Subject: child.Safe(c.Subject.String(), maxName), Issuer: child.Safe(c.Issuer.String(), maxName), Serial: c.SerialNumber.String(),
		Digest: hex.EncodeToString(sum[:]), Expires: c.NotAfter.UTC(), Possession: "not_proven", Listeners: []admin.ExplainedListener{},
	}
	for _, l := range listeners {
		x := admin.ExplainedListener{Name: l.Name}
		if err := takes(l.TLS, chain, now); err != nil {
			x.Why = child.Safe(err.Error(), maxName)
		} else {
			x.Takes = true
		}
		out.Listeners = append(out.Listeners, x)
	}
	return out
}

// maxName bounds what is shown of a certificate, in bytes.
const maxName = 1 << 10

// takes says why a listener does not take a client certificate, as its handshakes decide it; nil if it does.
func takes(c *config.TLS, chain []*x509.Certificate, now time.Time) error {
	switch {
	case c == nil:
		return errors.New("it serves no TLS")
	case c.ClientCAFile == "":
		return errors.New("it asks for no certificate, so that parts are given none: its tls block has no client_ca_file")
	}
	roots, err := clientAuthorities(c.ClientCAFile)
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, ca := range chain[1:] {
		between.AddCert(ca)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}
