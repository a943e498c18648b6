package egress

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// maxPEM bounds a file of certificates in bytes.
const maxPEM = 1 << 20

// Authorities gives the system's certificate authorities and those of a PEM file; nil, for the system's alone, if the file has
// no name.
func Authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := ReadCertificates(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// OnlyAuthorities gives those of a PEM text, without the system's.
func OnlyAuthorities(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("there is no certificate in PEM in it")
	}
	return pool, nil
}

// ReadCertificates reads a file of certificates of at most 1 MiB, as [ReadFile] does.
func ReadCertificates(file string) ([]byte, error) {
	pem, _, err := ReadFile(file, maxPEM)
	return pem, err
}
