package proxy

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/realmgate/realmgate/host/connection"
)

// remoteLife is for how long it is believed where a connection leads. The daemon refuses to sign for a former host.
const remoteLife = 10 * time.Second

// target is where the requests for a connection go, and what has to be known of their bodies.
type target struct {
	scheme, host string // the host in lower case, with a port unless it is that of the scheme
	signed       bool   // a signature covers the body, or says that it does not
	unsigned     bool   // it may say so
}

// remote is a connection. It is safe for concurrent use.
type remote struct {
	name  string
	proxy *Proxy

	mu      sync.Mutex
	target  target
	fetched time.Time
}

func (p *Proxy) remote(name string) *remote { return &remote{name: name, proxy: p} }

// now gives the target of the connection as it is now or was a moment ago.
func (r *remote) now(ctx context.Context) (target, error) {
	r.mu.Lock()
	t, fresh := r.target, time.Since(r.fetched) < remoteLife
	r.mu.Unlock()
	if fresh {
		return t, nil
	}
	return r.ask(ctx)
}

// ask gives the target of the connection as it is now.
func (r *remote) ask(ctx context.Context) (target, error) {
	c, err := r.proxy.c.Daemon.Connection(ctx, r.proxy.c.Realm, r.name)
	if err != nil {
		return target{}, err
	}
	t, err := r.proxy.targetOf(c)
	if err != nil {
		return target{}, fmt.Errorf("connection %s: %w", r.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target, r.fetched = t, time.Now()
	return t, nil
}

// forget has the daemon asked again.
func (r *remote) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetched = time.Time{}
}

func (p *Proxy) targetOf(c connection.Connection) (target, error) {
	u, err := url.Parse(c.Info.URI)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return target{}, fmt.Errorf("its URI is neither an http nor an https one: requests to it cannot be forwarded")
	}
	if err := p.c.Deny.CheckURL(u); err != nil {
		return target{}, err
	}
	a := c.Info.Authentication
	return target{
		scheme: u.Scheme, host: hostOf(u.Scheme, u.Host), signed: a.Type == connection.AuthSigV4,
		unsigned: u.Scheme == "https" && takesUnsigned(a.SigningName) && !p.c.SignPayload,
	}, nil
}

// hostOf gives a host as it is signed and sent: without the port that its scheme has anyway.
func hostOf(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// takesUnsigned says whether a service, by its signing name, takes requests whose body is not signed.
func takesUnsigned(service string) bool {
	return service == "s3" || service == "s3express" || strings.HasPrefix(service, "s3-") || service == "vpc-lattice-svcs"
}
