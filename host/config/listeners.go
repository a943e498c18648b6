package config

import (
	"crypto/tls"
	"fmt"
	"net/netip"
)

// listeners reads the listeners. metrics is the address of the one for metrics, empty if there is none.
func (b *builder) listeners(metrics string) []Listener {
	var out []Listener
	for _, n := range b.root.labelled("listener") {
		l := Listener{
			Name: n.label, Address: n.textOr("address", defaultAddress), RealmHeader: n.text("realm_header"),
			Pos: n.at.position(), at: n.at,
		}
		if l.RealmHeader != "" {
			if err := checkHeader(l.RealmHeader); err != nil {
				n.fault("realm_header", "realm_header cannot be used", sentence(err))
			}
		}
		for i, text := range n.texts("trusted_proxies") {
			prefix, err := parsePrefix(text)
			if err != nil {
				n.faultItem("trusted_proxies", i, "this is not a network", "Write it as 10.0.0.0/8 or fd00::/8; a single address is taken too.")
				continue
			}
			l.TrustedProxies = append(l.TrustedProxies, prefix)
		}
		l.Forwarded = n.enum("forwarded", "x-forwarded", "x-forwarded", "x-original", "none")
		l.TLS = b.tls(n.block("tls"))
		out = append(out, l)
	}
	b.distinctAddresses(out)
	if metrics != "" {
		b.metricsAddress(metrics, out)
	}
	return out
}

// parsePrefix takes a network or a single address. Bits behind the prefix are refused: 10.0.0.1/8 is more often a mistake
// for 10.0.0.1 than for 10.0.0.0/8, and the difference decides whom we trust.
func parsePrefix(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		ip = ip.WithZone("").Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if prefix.Masked() != prefix {
		return netip.Prefix{}, fmt.Errorf("the address has bits behind the prefix")
	}
	return prefix, nil
}

func (b *builder) tls(n node) *TLS {
	if !n.written {
		return nil
	}
	t := &TLS{CertFile: n.text("cert_file"), KeyFile: n.text("key_file"), ClientCAFile: n.text("client_ca_file"), MinVersion: tls.VersionTLS12}
	if !b.broken {
		n.need("cert_file")
		n.need("key_file")
	}
	if n.has("client_ca_file") && t.ClientCAFile == "" {
		n.fault("client_ca_file", "client_ca_file must not be empty", "Leave it out if clients need no certificate.")
	}
	if n.enum("min_version", "1.2", "1.2", "1.3") == "1.3" {
		t.MinVersion = tls.VersionTLS13
	}
	return t
}

// distinctAddresses checks addresses, and that no two listeners want the same one.
func (b *builder) distinctAddresses(all []Listener) {
	seen := make([]place, len(all))
	for i, l := range all {
		host, port, err := checkAddress(l.Address)
		if err != nil {
			b.add(l.Diagnose("address", "address cannot be used", sentence(err)))
			continue
		}
		seen[i] = place{host, port}
		for j, other := range seen[:i] {
			if !seen[i].meets(other) {
				continue
			}
			b.add(l.Diagnose("address", fmt.Sprintf("listener %q has the address of listener %q", l.Name, all[j].Name), elsewhere(all[j].Pos)))
			break
		}
	}
}

// metricsAddress checks the address for metrics, and that no listener has it.
func (b *builder) metricsAddress(address string, all []Listener) {
	n := b.root.block("metrics")
	host, port, err := checkAddress(address)
	if err != nil {
		n.fault("address", "address cannot be used", sentence(err))
		return
	}
	for _, l := range all {
		h, p, err := checkAddress(l.Address)
		if err == nil && (place{host, port}).meets(place{h, p}) {
			n.fault("address", fmt.Sprintf("the metrics have the address of listener %q", l.Name), elsewhere(l.Pos))
		}
	}
}

// place is an address, taken apart.
type place struct{ host, port string }

// meets says whether two listeners cannot have the two addresses.
func (p place) meets(o place) bool {
	return p.port != "0" && p.port == o.port && (p.host == o.host || wildcard(p.host) || wildcard(o.host))
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

func (b *builder) add(d Diagnostic) { *b.root.diags = append(*b.root.diags, d) }

// elsewhere says where the other one of a pair is.
func elsewhere(p Position) string {
	if p.File == "" {
		return ""
	}
	return "That one is at " + p.String() + "."
}
