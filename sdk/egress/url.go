package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxHost bounds a host name (RFC 1035 section 2.3.4).
const maxHost = 253

// CheckURL says whether a URL may be connected to, as far as its text tells: it is absolute, http or https, without a user
// or a password, and its host passes [List.CheckHost]. Errors never repeat a user's part.
func (l List) CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL is neither https nor http")
	case u.User != nil:
		return errors.New("the URL has a user or a password in it")
	case u.Opaque != "" || u.Host == "":
		return errors.New("the URL is not absolute: it has no host")
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return errors.New("the port of the URL is not one of 1 to 65535")
		}
	}
	return l.CheckHost(u.Hostname())
}

// CheckHost says whether a host may be connected to, as far as its text tells: an address (IPv6 without brackets) that is
// not refused, or a name in ASCII. IPv4 addresses in other spellings than four decimal numbers (127.1, 0x7f.1, 0177.0.0.1,
// 2130706433) are refused whatever they mean, since not everybody reads them alike; IPv6 zones too.
func (l List) CheckHost(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return fmt.Errorf("the address has a zone: %w", ErrRefused)
		}
		return l.Check(a)
	}
	switch {
	case host == "" || len(host) > maxHost:
		return fmt.Errorf("a host name has 1 to %d characters", maxHost)
	case strings.Contains(host, ":"):
		return errors.New("the host is no IPv6 address")
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return errors.New("a host name consists of labels of 1 to 63 letters, digits, - and _ with dots in between (names in other scripts in their ASCII form, xn--...)")
		}
	}
	if isNumber(labels[len(labels)-1]) {
		return fmt.Errorf("the host is an address in an unusual spelling; write it as four decimal numbers: %w", ErrRefused)
	}
	return nil
}

func notInName(c rune) bool {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	return !letter && (c < '0' || c > '9') && c != '-' && c != '_'
}

// isNumber: no name ends in one (RFC 3696 section 2), but what some resolvers read as an address does.
func isNumber(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(strings.ToLower(label), "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

// CheckSecret says whether a URL is fit for a secret to be sent to: https, or http to this machine itself.
func CheckSecret(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return errors.New("https is needed, except for this machine itself")
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
