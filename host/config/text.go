package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sosodev/duration"
)

// The errors of this file say what is wanted and never repeat the value, which may be a misplaced secret.

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// checkName checks the name of a realm, tenant, store, plugin or listener. Names get into paths and URLs.
func checkName(name string) error {
	if !nameSyntax.MatchString(name) || name == "." || name == ".." {
		return errors.New("a name has 1 to 64 letters (a-z, A-Z), digits, and - _ . and is not . or .. alone")
	}
	return nil
}

var (
	isoSyntax   = regexp.MustCompile(`^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(T(?:\d+(?:\.\d+)?H)?(?:\d+(?:\.\d+)?M)?(?:\d+(?:\.\d+)?S)?)?$`)
	isoCalendar = regexp.MustCompile(`^P[^T]*[YM]`)
	errDuration = errors.New("write it in ISO 8601 (PT1H30M, P1D) or as in Go (1h30m)")
)

// parseDuration takes ISO 8601 with weeks, days, hours, minutes and seconds, or Go's form. Years and months are refused:
// they have no fixed length.
func parseDuration(text string) (time.Duration, error) {
	if !strings.HasPrefix(text, "P") {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errDuration
		}
		if d < 0 {
			return 0, errors.New("it must not be negative")
		}
		return d, nil
	}
	if isoCalendar.MatchString(text) {
		return 0, errors.New("years and months have no fixed length; use weeks, days or hours")
	}
	// The library accepts any order and empty parts; the grammar is checked here.
	if !isoSyntax.MatchString(text) || strings.HasSuffix(text, "P") || strings.HasSuffix(text, "T") {
		return 0, errDuration
	}
	d, err := duration.Parse(text)
	if err != nil {
		return 0, errDuration
	}
	if hours := d.Weeks*7*24 + d.Days*24 + d.Hours + d.Minutes/60 + d.Seconds/3600; hours >= math.MaxInt64/float64(time.Hour) {
		return 0, errors.New("it is too long")
	}
	return d.ToTimeDuration(), nil
}

// checkURL checks a base URL: absolute, http or https, without user, query and fragment; http only to the machine itself.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "":
		return errors.New("write it as https://host[:port][/path]")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it must be absolute and start with https:// or http://")
	case u.Hostname() == "":
		return errors.New("it has no host")
	case u.User != nil:
		return errors.New("it must not have a user or a password")
	case u.RawQuery != "" || u.ForceQuery:
		return errors.New("it must not have a query")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("it must not have a fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("it must be https; http is for loopback addresses only")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("its port is not a number from 1 to 65535")
		}
	}
	return nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// checkAddress checks what a listener listens on and gives its host and port.
func checkAddress(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", errors.New("write it as host:port, an IPv6 address in brackets")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", errors.New("its port is not a number from 0 to 65535")
	}
	if host == "" || strings.EqualFold(host, "localhost") {
		return host, port, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), port, nil
	}
	host, err = normalHost(host)
	return host, port, err
}

var hostLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// normalHost gives a host name in the form in which it is compared: lower case, no trailing dot.
func normalHost(text string) (string, error) {
	host := strings.ToLower(strings.TrimSuffix(text, "."))
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return ip.String(), nil
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return "", errors.New("leave out the port; a realm is chosen by the name alone")
	}
	if len(host) > 253 {
		return "", errors.New("it is longer than 253 characters")
	}
	for label := range strings.SplitSeq(host, ".") {
		if !hostLabel.MatchString(label) {
			return "", errors.New("write a host name of letters, digits, hyphens and dots")
		}
	}
	return host, nil
}

var fieldName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // token of RFC 9110, 5.6.2

// takenHeaders are headers with a meaning of their own, in requests to us or in answers to a proxy. A realm read from one
// of them would let a caller choose their realm.
var takenHeaders = []string{
	"Authorization", "Host", "Cookie", "Forwarded", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding",
	"X-Original-Uri", "X-Original-Url", "X-Original-Method", "X-Real-Ip", "X-Request-Id",
	"Realmgate-Principal", "Realmgate-Principal-Id", "Realmgate-Roles", "Realmgate-Reason",
}

// checkHeader checks the name of the header that names a realm.
func checkHeader(name string) error {
	if !fieldName.MatchString(name) {
		return errors.New("write the name of a header: letters, digits and hyphens")
	}
	same := strings.ReplaceAll(name, "_", "-") // some proxies and servers do not tell them apart
	if len(same) >= len("X-Forwarded-") && strings.EqualFold(same[:len("X-Forwarded-")], "X-Forwarded-") {
		return errors.New("X-Forwarded-* has a meaning already; take another header")
	}
	for _, taken := range takenHeaders {
		if strings.EqualFold(same, taken) {
			return fmt.Errorf("%s has a meaning already; take another header", taken)
		}
	}
	return nil
}

var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`) // RFC 6749, 3.3

func checkScope(scope string) error {
	for token := range strings.SplitSeq(scope, " ") {
		if !scopeToken.MatchString(token) {
			return errors.New(`write printable ASCII without " and \, single spaces between the items (RFC 6749, 3.3)`)
		}
	}
	return nil
}

// checkPrefix checks the prefix of the secrets that a realm may refer to.
func checkPrefix(prefix string) error {
	switch {
	case prefix == "" || prefix == "/":
		return errors.New("it must not cover everything")
	case strings.ContainsFunc(prefix, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("it must not have spaces or control characters")
	case strings.ContainsAny(prefix, `%\?#`):
		return errors.New(`it must not have % \ ? or #: it is compared as it stands`)
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(prefix, "/"), "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return errors.New("it must not have the segments . and .. nor an empty one")
		}
	}
	return nil
}

var (
	variableSyntax = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	sha256Syntax   = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
)

// sentence makes a detail of an error.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func list(words []string) string { return strings.Join(words, ", ") }
