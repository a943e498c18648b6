package connection

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk/egress"
)

// maxURI bounds a URI in bytes.
const maxURI = 2048

// schemes are those of a URI, by the type of connection; HADOOP takes any, since each file system has its own.
var schemes = map[string][]string{
	TypeIcebergREST: {"https", "http"},
	TypeGenericHTTP: {"https", "http"},
	TypeHive:        {"thrift", "https", "http"},
}

// checkURI checks the URI of a connection as far as its text tells.
func checkURI(field, text, typ string, deny egress.List) *Fault {
	u, f := parseURI(field, text)
	if f != nil {
		return f
	}
	if list := schemes[typ]; list != nil && !slices.Contains(list, u.Scheme) {
		return invalid(field, fmt.Sprintf("a connection of the type %s has a URI of the scheme %s", typ, strings.Join(list, " or ")))
	}
	switch {
	case u.Scheme == "http", u.Scheme == "https":
		return checkWeb(field, u, deny)
	case u.Hostname() == "":
		if typ == TypeHive {
			return invalid(field, "names no host")
		}
		return nil
	}
	if err := deny.CheckHost(u.Hostname()); err != nil {
		return invalid(field, err.Error())
	}
	return nil
}

// checkWeb checks what is connected to by HTTP.
func checkWeb(field string, u *url.URL, deny egress.List) *Fault {
	if u.RawQuery != "" || u.ForceQuery {
		return invalid(field, "has a query in it, which is not taken")
	}
	if err := deny.CheckURL(u); err != nil {
		return invalid(field, err.Error())
	}
	return nil
}

// parseURI reads an absolute URI without user, password and fragment. The parser's own error would repeat it.
func parseURI(field, text string) (*url.URL, *Fault) {
	switch {
	case text == "":
		return nil, invalid(field, "is missing")
	case len(text) > maxURI:
		return nil, invalid(field, fmt.Sprintf("is longer than %d bytes", maxURI))
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }):
		return nil, invalid(field, `has a space, a backslash, a control character or one that is not ASCII in it; percent-encode it`)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !u.IsAbs():
		return nil, invalid(field, "is not an absolute URI")
	case u.User != nil:
		return nil, invalid(field, "has a user or a password in it; credentials go into authenticationParameters")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, invalid(field, "has a fragment in it")
	case u.Opaque != "":
		return nil, invalid(field, "is not of the form scheme://host/path")
	}
	for _, parameter := range strings.FieldsFunc(u.RawQuery, func(c rune) bool { return c == '&' || c == ';' }) {
		key, _, _ := strings.Cut(parameter, "=")
		if plain, err := url.QueryUnescape(key); err != nil || namesSecret(plain) {
			return nil, invalid(field, "has a parameter that looks like a secret; credentials go into authenticationParameters")
		}
	}
	return u, nil
}
