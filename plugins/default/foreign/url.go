package foreign

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
)

const maxCAFile = 1 << 20

// CheckURL takes absolute https URLs, and http ones of this machine.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q is not an absolute URL", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the URL must not have a user, a query or a fragment")
	}
	return checkScheme(u)
}

func checkScheme(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s: https is needed, except for this machine itself", u.Redacted())
}

// IsLoopback says whether a host is this machine itself.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Authorities gives the system's certificate authorities and those of a PEM file; nil, for the system's alone, if the file
// has no name.
func Authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := privatefile.ReadPublic(file, maxCAFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}
