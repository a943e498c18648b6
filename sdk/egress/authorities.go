package egress

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"syscall"
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

// ReadCertificates reads a file of certificates of at most 1 MiB: a regular one, so that a pipe in its place holds nobody up.
func ReadCertificates(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is not a regular file", file)
	}
	pem, err := ReadAll(f, maxPEM)
	if errors.Is(err, ErrTooLong) {
		return nil, fmt.Errorf("%s: it is longer than %d bytes", file, maxPEM)
	}
	return pem, err
}
