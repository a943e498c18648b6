package foreign

import (
	"errors"
	"fmt"
	"net"
	"net/url"
)

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
