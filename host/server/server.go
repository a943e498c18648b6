package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/socket"
)

// Server serves all listeners and the admin socket.
type Server struct {
	config Config
	deps   Deps
	grace  atomic.Int64 // a time.Duration
	bound  []bound
}

// bound is a listener with the server that serves it.
type bound struct {
	name string
	ln   net.Listener
	tls  *certified // nil: plain HTTP
	http *http.Server
}

// New checks a config and makes a server of it; nothing is opened yet.
func New(c Config, d Deps) (*Server, error) {
	switch {
	case d.Enter == nil || d.Realms == nil || d.Directory == nil:
		return nil, errors.New("server: Enter, Realms and Directory are needed")
	case c.Grace < 0:
		return nil, errors.New("server: the grace is negative")
	case len(c.Listeners) == 0:
		return nil, errors.New("server: there is no listener")
	case c.AdminSocket != "" && d.Admin == nil:
		return nil, errors.New("server: there is an admin socket, but no admin API")
	case c.MetricsAddress != "" && d.Metrics == nil:
		return nil, errors.New("server: there is an address for metrics, but there are none")
	}
	seen := map[string]bool{}
	for _, l := range c.Listeners {
		if seen[l.Name] {
			return nil, fmt.Errorf("server: there are two listeners named %q", l.Name)
		}
		seen[l.Name] = true
		if _, ok := dialects[l.Forwarded]; !ok {
			return nil, fmt.Errorf("server: listener %q: there is no dialect %q of forwarded headers", l.Name, l.Forwarded)
		}
	}
	if d.Logger == nil {
		d.Logger = hclog.NewNullLogger()
	}
	s := &Server{config: c, deps: d}
	s.SetGrace(c.Grace)
	return s, nil
}

// Listen opens all listeners, or none. A caller that is root may give up its rights afterwards.
func (s *Server) Listen(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			s.closeAll()
		}
	}()
	for _, l := range s.config.Listeners {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", l.Address)
		if err != nil {
			return fmt.Errorf("server: listener %q: %w", l.Name, err)
		}
		b := bound{name: l.Name, ln: ln, http: s.httpServer(s.Handler(l))}
		if l.TLS != nil {
			b.tls = &certified{Listener: ln}
			b.tls.config.Store(withProtocols(l.TLS))
			b.ln = b.tls
		}
		s.bound = append(s.bound, b)
	}
	if s.config.AdminSocket != "" {
		ln, err := socket.Listen(s.config.AdminSocket)
		if err != nil {
			return fmt.Errorf("server: admin %w", err)
		}
		s.bound = append(s.bound, bound{name: "admin", ln: ln, http: s.httpServer(s.guard(Listener{Name: "admin"}, s.deps.Admin.ServeHTTP))})
	}
	if s.config.MetricsAddress != "" {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", s.config.MetricsAddress)
		if err != nil {
			return fmt.Errorf("server: metrics: %w", err)
		}
		s.bound = append(s.bound, bound{name: MetricsListener, ln: ln, http: s.httpServer(s.guard(Listener{Name: MetricsListener}, s.serveMetrics))})
	}
	return nil
}

// MetricsListener is the name under which [Server.Addr] gives the address of the listener for metrics. No other listener can
// have it.
const MetricsListener = "(metrics)"

// serveMetrics answers at a listener of its own, for whoever can reach it.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if rawPath(r) != "/metrics" {
		refuse(w, r, http.StatusNotFound, reasonNotFound, "there is nothing at this path; the metrics are at /metrics")
		return
	}
	s.deps.Metrics.ServeHTTP(w, r)
}

// SetTLS gives a listener that serves TLS other certificates and rules, for the connections that are made from now on.
func (s *Server) SetTLS(listener string, c *tls.Config) error {
	for _, b := range s.bound {
		if b.name == listener && b.tls != nil && c != nil {
			b.tls.config.Store(withProtocols(c))
			return nil
		}
	}
	return fmt.Errorf("server: listener %q does not serve TLS", listener)
}

// SetGrace says anew how long requests in flight may take once the server is told to stop.
func (s *Server) SetGrace(d time.Duration) { s.grace.Store(int64(d)) }

// certified is a listener of TLS whose configuration can be replaced. A session is resumed under the one that it was made
// under only, since each has ticket keys of its own: who may no longer connect does not get in by an old session.
type certified struct {
	net.Listener
	config atomic.Pointer[tls.Config]
}

// Accept gives the next connection under the configuration of this moment.
func (c *certified) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(conn, c.config.Load()), nil
}

// withProtocols offers HTTP/2 beside HTTP/1.1, as ServeTLS would.
func withProtocols(c *tls.Config) *tls.Config {
	c = c.Clone()
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: s.deps.Logger.Named("http").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
}

// Addr gives the address that a listener is bound to; nil before Listen, or if there is none of that name.
func (s *Server) Addr(name string) net.Addr {
	for _, b := range s.bound {
		if b.name == name {
			return b.ln.Addr()
		}
	}
	return nil
}

// Serve serves until ctx ends, then drains: no connection is taken any more, by which load balancers that ask readyz notice
// it, and requests in flight have the grace to end. It opens the listeners if Listen has not been called. The error is nil after a complete drain.
func (s *Server) Serve(ctx context.Context) error {
	if s.bound == nil {
		if err := s.Listen(ctx); err != nil {
			return err
		}
	}
	failed := make(chan error, len(s.bound))
	for _, b := range s.bound {
		go func() {
			if err := b.http.Serve(b.ln); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("server: listener %q: %w", b.name, err)
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, s.drain(context.WithoutCancel(ctx)))
}

func (s *Server) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.grace.Load()))
	defer cancel()
	done := make(chan error, len(s.bound))
	for _, b := range s.bound {
		go func() {
			err := b.http.Shutdown(ctx)
			if err != nil {
				_ = b.http.Close()
				err = fmt.Errorf("server: listener %q: requests were cut off: %w", b.name, err)
			}
			done <- err
		}()
	}
	var errs []error
	for range s.bound {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

func (s *Server) closeAll() {
	for _, b := range s.bound {
		_ = b.ln.Close()
	}
	s.bound = nil
}
