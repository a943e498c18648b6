package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// What holds if a Config does not say otherwise.
const (
	DefaultMaxBody       = 64 << 20
	DefaultHeaderTimeout = 2 * time.Minute
	DefaultBodyTimeout   = time.Minute
	DefaultGrace         = 30 * time.Second
)

// Limits of the listeners, and of connections to remote systems.
const (
	readHeaderLimit = 10 * time.Second
	idleLimit       = 2 * time.Minute
	maxHeader       = 64 << 10
	continueLimit   = time.Second // for a 100 (Continue)
	healthLimit     = 10 * time.Second
)

// Daemon is what the proxy asks; *admin.Client is one.
type Daemon interface {
	Connection(ctx context.Context, realm, name string) (connection.Connection, error)
	SignForConnection(ctx context.Context, realm, name string, q admin.SignQuery) (connection.Signed, error)
}

// Config is what a proxy is made of.
type Config struct {
	Realm         string
	Daemon        Daemon
	Deny          egress.List    // addresses that are never connected to
	RootCAs       *x509.CertPool // of remote systems; nil: the system's
	SignPayload   bool           // have every body hashed, also where the service takes requests without
	MaxBody       int64          // bytes of a body that has to be hashed; 0: DefaultMaxBody
	HeaderTimeout time.Duration  // for the head of an answer, once the request is sent; 0: DefaultHeaderTimeout
	BodyTimeout   time.Duration  // for the next part of a client's body; 0: DefaultBodyTimeout
	Grace         time.Duration  // for what is under way when the proxy ends; 0: DefaultGrace
	Logger        hclog.Logger   // nil: silent
}

// Door is a listener that stands for a connection. It demands the token unless that is empty: an empty one is for sockets
// that only their owner can connect to. The token comes as Realmgate-Proxy-Token, as a bearer token, or as the access key id
// of a client that signs; it is removed.
type Door struct {
	Connection string
	Listener   net.Listener
	Token      sdk.Secret
}

// Proxy is a proxy for connections of one realm. It is safe for concurrent use.
type Proxy struct {
	c         Config
	transport *http.Transport
	forward   *httputil.ReverseProxy
	buffers   sync.Pool
}

// New gives a proxy.
func New(c Config) *Proxy {
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.BodyTimeout == 0 {
		c.BodyTimeout = DefaultBodyTimeout
	}
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = DefaultHeaderTimeout
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	p := &Proxy{c: c, transport: egress.NewTransport(egress.Options{Deny: c.Deny, RootCAs: c.RootCAs})}
	p.transport.DisableCompression = true // what the client did not ask for is not asked for
	p.transport.ResponseHeaderTimeout = c.HeaderTimeout
	p.transport.ExpectContinueTimeout = continueLimit
	p.transport.MaxIdleConnsPerHost = 64
	p.forward = p.forwarder()
	return p
}

// Check asks the daemon for a connection, and says why it cannot be proxied.
func (p *Proxy) Check(ctx context.Context, name string) error {
	_, err := p.remote(name).now(ctx)
	return err
}

// Serve serves the doors and, unless it is nil, health until the context ends, then what is under way for as long as the
// configuration allows. It closes the listeners.
func (p *Proxy) Serve(ctx context.Context, doors []Door, health net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer p.transport.CloseIdleConnections()
	var servers []*http.Server
	var remotes []*remote
	ended := make(chan error, len(doors)+1)
	serve := func(s *http.Server, l net.Listener) {
		s.BaseContext = func(net.Listener) context.Context { return base }
		s.ErrorLog = log.New(p.c.Logger.StandardWriter(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}), "", 0)
		servers = append(servers, s)
		go func() { ended <- s.Serve(l) }()
	}
	for _, d := range doors {
		r := p.remote(d.Connection)
		remotes = append(remotes, r)
		serve(&http.Server{
			Handler: &handler{proxy: p, remote: r, door: guardOf(d.Token)}, ReadHeaderTimeout: readHeaderLimit, IdleTimeout: idleLimit,
			MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		}, d.Listener)
	}
	if health != nil {
		serve(&http.Server{Handler: healthOf(remotes), ReadTimeout: healthLimit, WriteTimeout: 2 * healthLimit, MaxHeaderBytes: 8 << 10}, health)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
		err = fmt.Errorf("proxy: %w", err)
	}
	return errors.Join(err, p.end(servers))
}

// end closes the listeners, then waits for what is under way, then ends it.
func (p *Proxy) end(servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.c.Grace)
	defer cancel()
	cut := make(chan bool, len(servers))
	for _, s := range servers {
		go func() {
			err := s.Shutdown(ctx)
			_ = s.Close()
			cut <- err != nil
		}()
	}
	n := 0
	for range servers {
		if <-cut {
			n++
		}
	}
	if n > 0 {
		p.c.Logger.Warn("requests that were under way are cut off", "listeners", n, "after", p.c.Grace.String())
	}
	return nil
}

// guardOf gives what is compared with a presented token: nil lets everybody in.
func guardOf(token sdk.Secret) *[sha256.Size]byte {
	if len(token.Reveal()) == 0 {
		return nil
	}
	sum := sha256.Sum256(token.Reveal())
	return &sum
}
