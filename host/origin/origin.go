package origin

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// Origin is where a request came from.
type Origin struct {
	Listener string     // name of the listener; "admin" for the admin socket
	Peer     string     // the other end of the connection, as the listener names it
	Client   netip.Addr // who asked: the peer, or the one that trusted proxies speak for; invalid if it has no address
}

// maxForwarded bounds the list of X-Forwarded-For that is read, in bytes.
const maxForwarded = 4 << 10

// New finds the origin of a request. forwarded are the values of X-Forwarded-For: they are read from the right, and each
// address counts only if every one behind it, beginning with the peer, is a trusted proxy. What cannot be read ends the
// search: the client is then the proxy that said it.
func New(listener, peer string, forwarded []string, trusted []netip.Prefix) Origin {
	o := Origin{Listener: listener, Peer: peer}
	ap, err := netip.ParseAddrPort(peer)
	if err != nil {
		return o
	}
	o.Client = bare(ap.Addr())
	list := strings.Join(forwarded, ",")
	if len(list) > maxForwarded {
		list = list[len(list)-maxForwarded:]
	}
	for list != "" && isTrusted(o.Client, trusted) {
		i := strings.LastIndexByte(list, ',')
		next := parse(list[i+1:])
		if !next.IsValid() {
			break
		}
		o.Client, list = next, list[:max(i, 0)]
	}
	return o
}

// parse reads an address, with or without a port; invalid if it is none.
func parse(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return bare(addr)
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return bare(ap.Addr())
	}
	return netip.Addr{}
}

// bare gives an IPv4 address that is written as an IPv6 one its own form, and drops a zone.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

type contextKey struct{}

// carrier is a context with an origin, in one piece of memory.
type carrier struct {
	context.Context
	origin Origin
}

// Value gives the origin, or what the context below has.
func (c *carrier) Value(key any) any {
	if key == (contextKey{}) {
		return &c.origin
	}
	return c.Context.Value(key)
}

// With gives a context that carries the origin of its request.
func With(ctx context.Context, o Origin) context.Context {
	return &carrier{ctx, o}
}

// From gives the origin that a context carries; the zero Origin if it has none.
func From(ctx context.Context) Origin {
	if o, ok := ctx.Value(contextKey{}).(*Origin); ok {
		return *o
	}
	return Origin{}
}

// Network gives the network that a client's address stands for: the address itself with IPv4, the /64 with IPv6, of
// which one host has as many addresses as it likes. It is invalid for a client without an address.
func (o Origin) Network() netip.Prefix {
	bits := 32
	if o.Client.Is6() {
		bits = 64
	}
	p, err := o.Client.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
