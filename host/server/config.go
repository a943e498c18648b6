package server

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/token"
)

// Listener is one address that the server listens on, and what it believes of the requests that come in there.
type Listener struct {
	Name    string
	Address string // host:port
	// RealmHeader names the header that may choose the realm; empty: no header does.
	RealmHeader string
	// TrustedProxies are the peers whose X-Request-Id counts, and their word about the original request.
	TrustedProxies []netip.Prefix
	// Forwarded is the dialect in which they tell about the original request: ForwardedX (also if empty), ForwardedOriginal
	// or ForwardedNone. Headers of another dialect are never read: a proxy lets pass what it does not know, so they may be
	// the caller's.
	Forwarded string
	TLS       *tls.Config // nil: plain HTTP; see [Server.SetTLS]
}

// The dialects of Listener.Forwarded.
const (
	ForwardedX        = "x-forwarded" // X-Forwarded-Method, -Proto, -Host, -Uri; the host may also choose the realm
	ForwardedOriginal = "x-original"  // X-Original-Method, -Proto, -Host, -Uri
	ForwardedNone     = "none"
)

// Config is what a server is made of.
type Config struct {
	Listeners []Listener
	// AdminSocket is the path of the admin API's unix socket; empty: no admin API.
	AdminSocket string
	// MetricsAddress is host:port of a listener that serves Deps.Metrics at /metrics and nothing else; empty: there is none.
	MetricsAddress string
	// Grace is how long requests in flight may take once the server is told to stop; zero: they are cut off. See
	// [Server.SetGrace].
	Grace time.Duration
}

// Snapshot is the generation that one request is served by; generation.Generation is one.
type Snapshot interface {
	// Plan gives a realm's plan, pipeline.ErrUnknownRealm, or an error that says why the realm is not served.
	Plan(realm string) (*pipeline.Plan, error)
	// TokenService gives a realm's token service; false: the realm has none.
	TokenService(realm string) (*token.Service, bool)
	// Connections gives what serves a realm's connections, or an error that says why nothing does.
	Connections(realm string) (*connection.Service, error)
	// RealmOfHost gives the realm that a host (lower case, without a port) belongs to.
	RealmOfHost(host string) (string, bool)
}

// Auditor keeps the audit lines of decisions; *audit.Log is one.
type Auditor interface {
	Decided(context.Context, audit.Event) error
}

// Meter measures; *metrics.Metrics does.
type Meter interface {
	// Decided is told of each decision: its outcome (allowed, denied, unavailable, or abandoned by the caller), the reason of a
	// denial, empty otherwise, and how long it took.
	Decided(realm, outcome, reason string, took time.Duration)
	// Answered is told the status of each answer of an endpoint of a realm's token service: token, revoke or introspect.
	Answered(realm, endpoint string, status int)
}

// Pinger tells whether the directory answers; *directory.Directory is one.
type Pinger interface {
	Ping(context.Context) error
}

// Deps is what the server works on.
type Deps struct {
	// Enter gives the current generation, nil before there is one, and what says that the request is done with it. It is
	// called once per request.
	Enter func() (s Snapshot, leave func())
	// Realms lists the configured realms, for readyz.
	Realms func() []admin.Realm
	// Directory is asked by readyz.
	Directory Pinger
	// Admin is the admin API; nil: none.
	Admin http.Handler
	// Metrics answers scrapes; nil: nothing does.
	Metrics http.Handler
	// Audit gets a line per decision, which is not answered if there can be none; nil: none.
	Audit Auditor
	// Meter measures decisions and requests to the token endpoints; nil: nothing does.
	Meter Meter
	// Logger gets a line per decision at info and one per request at debug. nil: silent.
	Logger hclog.Logger
}

// Limits of a request, in bytes and time. A slow caller loses its connection.
const (
	maxHeader         = 64 << 10 // net/http answers 431 beyond
	maxToken          = 16 << 10
	maxConnection     = 1 << 20 // body of a request about connections, read after the decision
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	pingTimeout       = 2 * time.Second
)
