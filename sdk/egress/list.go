package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// ErrRefused is behind every error that says that an address is refused.
var ErrRefused = errors.New("the address is refused")

// List holds the refused addresses. The zero List is [Default]; the one that refuses none is [AllowAll]. It does not change.
type List struct{ prefixes []netip.Prefix } // nil: the zero List

// metadata are the addresses at which clouds tell a machine's own credentials, and what nobody means as a remote system.
var metadata = []string{
	"0.0.0.0/8",          // this network (RFC 791 section 3.2): an operating system takes 0.0.0.0 for itself
	"::/128",             // the same
	"169.254.0.0/16",     // link-local (RFC 3927), the metadata address of most clouds
	"fe80::/10",          // link-local (RFC 4291 section 2.5.6)
	"fd00:ec2::/32",      // Amazon: metadata, and credentials of pods
	"fd20:ce::254/128",   // Google
	"fd00:42::42/128",    // Scaleway
	"100.100.100.200/32", // Alibaba
	"168.63.129.16/32",   // Azure: the host's agent
	"192.0.0.192/32",     // Oracle
}

// DefaultPrefixes gives the text of [Default].
func DefaultPrefixes() []string { return append([]string(nil), metadata...) }

// Default refuses the link-local and unspecified addresses and those of the clouds' metadata services.
func Default() List {
	l, err := Parse(metadata)
	if err != nil {
		panic(err) // of a constant
	}
	return l
}

// AllowAll refuses no address, not even those of the metadata services: it is for who chooses the address themselves, and never
// for what a caller names.
func AllowAll() List { return List{[]netip.Prefix{}} }

var byDefault = sync.OnceValue(Default)

// refused gives the prefixes of the list.
func (l List) refused() []netip.Prefix {
	if l.prefixes == nil {
		return byDefault().prefixes
	}
	return l.prefixes
}

// Parse reads prefixes such as 10.0.0.0/8 and single addresses; of none it makes [AllowAll], as somebody has written it. An error
// names the one that is neither.
func Parse(texts []string) (List, error) {
	l := AllowAll()
	for _, t := range texts {
		p, err := parse(t)
		if err != nil {
			return List{}, err
		}
		l.prefixes = append(l.prefixes, p)
	}
	return l, nil
}

func parse(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a prefix such as 10.0.0.0/8", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q: write the IPv4 prefix itself", text)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length; is %s meant?", text, p.Masked())
	}
	return p, nil
}

// Check says whether an address is refused, by itself or for the IPv4 address that it carries. The error wraps
// [ErrRefused].
func (l List) Check(a netip.Addr) error {
	if !a.IsValid() {
		return fmt.Errorf("no address: %w", ErrRefused)
	}
	for _, c := range carried(a.WithZone("")) {
		for _, p := range l.refused() {
			if p.Contains(c) {
				return fmt.Errorf("%s lies in %s: %w", a, p, ErrRefused)
			}
		}
	}
	return nil
}

// translations are the prefixes whose last 32 bits are an IPv4 address.
var translations = []netip.Prefix{
	netip.MustParsePrefix("::/96"),            // IPv4-compatible (RFC 4291 section 2.5.5.1)
	netip.MustParsePrefix("::ffff:0:0:0/96"),  // IPv4-translated (RFC 2765)
	netip.MustParsePrefix("64:ff9b::/96"),     // NAT64 (RFC 6052)
	netip.MustParsePrefix("64:ff9b:1:0::/64"), // NAT64 of a network's own (RFC 8215), as a prefix of 96 bits
}

var (
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// carried gives the address and every address that a packet for it may end at.
func carried(a netip.Addr) []netip.Addr {
	a = a.Unmap()
	out := []netip.Addr{a}
	b := a.As16()
	if a.Is6() && !a.IsLoopback() {
		for _, p := range translations {
			if p.Contains(a) {
				out = append(out, netip.AddrFrom4([4]byte(b[12:16])))
			}
		}
		if localNAT64.Contains(a) { // RFC 6052 section 2.2: byte 8 is not part of the address
			out = append(out, netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}))
		}
		if sixToFour.Contains(a) { // RFC 3056 section 2
			out = append(out, netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	for _, c := range out {
		if c.IsUnspecified() { // the operating system connects to itself
			out = append(out, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback())
			break
		}
	}
	return out
}

// Control is net.Dialer's ControlContext: it refuses the address that is about to be connected to.
func (l List) Control(_ context.Context, network, address string, _ syscall.RawConn) error {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return fmt.Errorf("network %s: %w", network, ErrRefused)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, ErrRefused)
	}
	return l.Check(ap.Addr())
}

// Dialer gives a dialer that connects to no refused address, whatever a name resolves to.
func (l List) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, ControlContext: l.Control}
}
