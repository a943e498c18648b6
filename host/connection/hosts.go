package connection

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// place is a scheme, a host and a port, in lower case, the port never empty.
type place struct{ scheme, host, port string }

var defaultPorts = map[string]string{"https": "443", "http": "80"}

// placeOf gives where a URL leads to.
func placeOf(u *url.URL) place {
	p := place{strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()}
	if p.port == "" {
		p.port = defaultPorts[p.scheme]
	}
	return p
}

// mayBeSigned says whether a request to p is one to the connection: to the host of its URI, or by https (or by the scheme of
// the URI) to one of its sign hosts.
func (c *Connection) mayBeSigned(p place) bool {
	u, err := url.Parse(c.Info.URI)
	if err != nil {
		return false
	}
	own := placeOf(u)
	if p == own {
		return true
	}
	if p.scheme != "https" && p.scheme != own.scheme {
		return false
	}
	for _, entry := range c.SignHosts {
		host, port := splitHost(entry)
		if port == "" {
			port = defaultPorts[p.scheme]
		}
		suffix, wild := strings.CutPrefix(host, "*")
		if port == p.port && (host == p.host || wild && strings.HasSuffix(p.host, suffix)) {
			return true
		}
	}
	return false
}

// splitHost splits an entry of the sign hosts: a host or *.suffix, perhaps with a port. Of what is none it makes no host.
func splitHost(entry string) (host, port string) {
	if rest, ok := strings.CutPrefix(entry, "["); ok {
		host, port, ok = strings.Cut(rest, "]")
		if !ok || port != "" && !strings.HasPrefix(port, ":") || !strings.Contains(host, ":") {
			return "", ""
		}
		return host, strings.TrimPrefix(port, ":")
	}
	host, port, _ = strings.Cut(entry, ":")
	return host, port
}

func (c checking) signHosts() *Fault {
	if len(c.SignHosts) > maxSignHosts {
		return invalid(c.field("signHosts"), fmt.Sprintf("are more than %d", maxSignHosts))
	}
	for i, entry := range c.SignHosts {
		at := fmt.Sprintf("%s[%d]", c.field("signHosts"), i)
		entry = strings.ToLower(entry)
		c.SignHosts[i] = entry
		host, port := splitHost(entry)
		name, wild := strings.CutPrefix(host, "*.")
		if n, err := strconv.ParseUint(port, 10, 16); (port != "" || strings.HasSuffix(entry, ":")) && (err != nil || n == 0 || strconv.FormatUint(n, 10) != port) {
			return invalid(at, "is a host, or *.suffix, perhaps with a port of 1 to 65535 behind it; a scheme or a path is not taken")
		}
		if err := c.deny.CheckHost(name); err != nil {
			return invalid(at, err.Error())
		}
		if wild && !strings.Contains(strings.Trim(name, "."), ".") {
			return invalid(at, "covers a whole top-level domain")
		}
	}
	return nil
}
