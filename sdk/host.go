package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Host is what a part may ask the host, already scoped to the call that is being served. An author reaches it through
// [FindPrincipal], [FindAccessKey] and [SecretRef.Value]; a test gives its own with [WithHost], the serving side with
// [WithCall]. It may grow: who implements it embeds [UnimplementedHost].
type Host interface {
	FindPrincipal(context.Context, PrincipalRef) (Principal, error)
	FindAccessKey(ctx context.Context, id string) (AccessKey, error)
	ResolveSecret(context.Context, SecretRef) (Secret, error)
}

// UnimplementedHost answers each question with an error. It is embedded by a Host that answers some, and goes on to be one when
// Host grows.
type UnimplementedHost struct{}

// FindPrincipal is Host's.
func (UnimplementedHost) FindPrincipal(context.Context, PrincipalRef) (Principal, error) {
	return Principal{}, errUnimplemented("principals")
}

// FindAccessKey is Host's.
func (UnimplementedHost) FindAccessKey(context.Context, string) (AccessKey, error) {
	return AccessKey{}, errUnimplemented("access keys")
}

// ResolveSecret is Host's.
func (UnimplementedHost) ResolveSecret(context.Context, SecretRef) (Secret, error) {
	return Secret{}, errUnimplemented("secrets")
}

func errUnimplemented(what string) error {
	return fmt.Errorf("sdk: the host of this test has no %s", what)
}

type hostKey struct{}

// WithHost attaches h to a context, as a test does.
func WithHost(ctx context.Context, h Host) context.Context {
	return context.WithValue(ctx, hostKey{}, h)
}

func hostFrom(ctx context.Context) (Host, error) {
	h, ok := ctx.Value(hostKey{}).(Host)
	if !ok {
		return nil, errors.New("sdk: the context does not descend from the one of a call of the host")
	}
	return h, nil
}

// FindPrincipal looks a principal up in the directory of the realm that is being served. A principal that is unknown, or
// whose id and name belong to two, is a [Denial] (403). A disabled one is found, with Enabled false. An implementation that
// does not want [WantPrincipals], or is not allowed to, gets [ErrNotAllowed].
func FindPrincipal(ctx context.Context, ref PrincipalRef) (Principal, error) {
	h, err := hostFrom(ctx)
	if err != nil {
		return Principal{}, err
	}
	p, err := h.FindPrincipal(ctx, ref)
	if err = noVerdict(err); err != nil {
		return Principal{}, err
	}
	return p, nil
}

// FindAccessKey looks an access key of the realm up that is being served. A key that is unknown, or another realm's, is a
// [Denial] (401, access_key_unknown). One whose principal is disabled is found, with Enabled false. A host that is older
// than access keys is an error, and so is [ErrNotAllowed] for an implementation that does not want [WantAccessKeys] or is not
// allowed to.
func FindAccessKey(ctx context.Context, id string) (AccessKey, error) {
	h, err := hostFrom(ctx)
	if err != nil {
		return AccessKey{}, err
	}
	k, err := h.FindAccessKey(ctx, id)
	if err = noVerdict(err); err != nil {
		return AccessKey{}, err
	}
	return k, nil
}

// noVerdict is the error of a look-up, which speaks for no verifier.
func noVerdict(err error) error {
	if d := AsDenial(err); d != nil && d.Reason == ReasonNotMine {
		return fmt.Errorf("the look-up answered %s, which only a verifier may", ReasonNotMine)
	}
	return err
}

// Call is what the serving side knows of the call that a part is in. It may grow: who implements it embeds [UnimplementedCall].
type Call interface {
	Host
	Logger() *slog.Logger
	RequestID() string
	Trace() Trace
	Realm() string
	Epoch() uint64
}

// UnimplementedCall is a call of which nothing is known. It is embedded by a Call of a test that says some of it, e.g. a realm and
// its epoch.
type UnimplementedCall struct{ UnimplementedHost }

// Logger is Call's.
func (UnimplementedCall) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// RequestID is Call's.
func (UnimplementedCall) RequestID() string { return "" }

// Trace is Call's.
func (UnimplementedCall) Trace() Trace { return "" }

// Realm is Call's.
func (UnimplementedCall) Realm() string { return "" }

// Epoch is Call's.
func (UnimplementedCall) Epoch() uint64 { return 0 }

type callKey struct{}

// callContext is a context with a call, in one piece of memory.
type callContext struct {
	context.Context
	call Call
}

// Value gives what the call says, or what the context below has.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case callKey, hostKey:
		return c.call
	case loggerKey:
		return c.call.Logger()
	case requestIDKey:
		id := c.call.RequestID()
		return &id
	case traceKey:
		return c.call.Trace()
	}
	return c.Context.Value(key)
}

// WithCall attaches all that is known of a call to a context; the serving side does it for every call, and a test of a part that
// asks for the realm or its epoch.
func WithCall(ctx context.Context, c Call) context.Context { return &callContext{ctx, c} }

// Realm gives the name of the realm that is being served; empty where there is none: in the constructor and the check of what
// serves a whole tenant, and of a secret store. One instance of a tenant's part serves all realms of the tenant.
func Realm(ctx context.Context) string {
	if c, ok := ctx.Value(callKey{}).(Call); ok {
		return c.Realm()
	}
	return ""
}

// Epoch gives the epoch of the realm that is being served: a number that moves with every change of the realm's principals,
// roles, grants, secrets, access keys and revocations. It says nothing of another realm, whose number may be the same. A part that
// remembers what it found out in a call keys it by [Realm] and keeps the epoch with it: of another epoch it holds no more. 0 says
// that nothing may be remembered.
func Epoch(ctx context.Context) uint64 {
	if c, ok := ctx.Value(callKey{}).(Call); ok {
		return c.Epoch()
	}
	return 0
}

type loggerKey struct{}

// WithLogger attaches a logger to a context, as a test does.
func WithLogger(ctx context.Context, l *slog.Logger) context.Context {
	return context.WithValue(ctx, loggerKey{}, l)
}

// Logger gives the logger of a call: its lines appear in the host's log with plugin, instance and request id. Outside a
// call they go nowhere.
func Logger(ctx context.Context) *slog.Logger {
	if l, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return l
	}
	return slog.New(slog.DiscardHandler)
}

// CacheHint bounds how long a decision may be remembered. The zero CacheHint sets no bound.
type CacheHint struct {
	MaxAge  time.Duration // zero: no bound
	NoStore bool
}

// Least gives the stricter of two hints.
func (c CacheHint) Least(o CacheHint) CacheHint {
	c.NoStore = c.NoStore || o.NoStore
	if c.MaxAge == 0 || o.MaxAge != 0 && o.MaxAge < c.MaxAge {
		c.MaxAge = o.MaxAge
	}
	return c
}

type hintKey struct{}

// hintBox is the context of a stage, with what is said there about remembering the decision.
type hintBox struct {
	context.Context
	notes *Notes // nil unless the decision is explained
	mu    sync.Mutex
	hint  CacheHint
}

// Value gives the box itself, or what the context below has.
func (b *hintBox) Value(key any) any {
	if key == (hintKey{}) {
		return b
	}
	return b.Context.Value(key)
}

func (b *hintBox) least(h CacheHint) {
	b.mu.Lock()
	b.hint = b.hint.Least(h)
	b.mu.Unlock()
}

// said gives what was said so far; a goroutine of the stage may outlive it.
func (b *hintBox) said() CacheHint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hint
}

// CacheFor bounds the time for which the decision that is being made may be remembered, and says that it may be, also of a stage
// that is not [Cacheable]. The least bound of all stages counts. A bound of zero or less is [NoCache].
func CacheFor(ctx context.Context, d time.Duration) {
	if d <= 0 {
		NoCache(ctx)
		return
	}
	if b, ok := ctx.Value(hintKey{}).(*hintBox); ok {
		b.least(CacheHint{MaxAge: d})
	}
}

// NoCache says that the decision that is being made must not be remembered, nor be given to an equal request at the same moment.
func NoCache(ctx context.Context) {
	if b, ok := ctx.Value(hintKey{}).(*hintBox); ok {
		b.least(CacheHint{NoStore: true})
	}
}

type requestIDKey struct{}

// requestIDContext is a context with the id of a request, in one piece of memory.
type requestIDContext struct {
	context.Context
	id string
}

// Value gives the id, or what the context below has.
func (c *requestIDContext) Value(key any) any {
	if key == (requestIDKey{}) {
		return &c.id
	}
	return c.Context.Value(key)
}

// WithRequestID attaches the id that correlates what host and plugins log about one request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return &requestIDContext{ctx, id}
}

// RequestID gives the id of the request that is being served; empty outside one.
func RequestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(*string); ok {
		return *id
	}
	return ""
}
