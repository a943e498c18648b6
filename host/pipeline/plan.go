package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// ErrUnknownRealm says that no realm of that name is configured.
var ErrUnknownRealm = errors.New("unknown realm")

// Mode is the authentication type of a realm.
type Mode uint8

// The modes. The zero Mode decides nothing.
const (
	ModeInternal Mode = 1 + iota // only tokens that the realm issued itself
	ModeExternal                 // only tokens of the tenant's identity provider
	ModeMixed                    // internal first, then external
)

// Leg runs a run of adjacent stages and adds what they made to s. A *sdk.Denial means no; every other error means
// unavailable.
type Leg interface {
	Run(ctx context.Context, s *sdk.State) error
}

// Standing is the host's own knowledge of a credential and a principal: revocations, client-secret versions, whether the
// principal exists and is enabled. It answers a *sdk.Denial, or another error if it cannot tell.
type Standing interface {
	CheckStanding(ctx context.Context, c sdk.Credential, p sdk.Principal) error
}

// Memory stands in front of plans.
type Memory interface {
	// Decide answers what [Plan.DecideAnew] would, or would have a moment ago: for no longer than Decision.CacheFor, and with
	// nothing changed since that the realm's decisions depend on. Plans with NeedsHTTP are never asked about. What it answers
	// belongs to the caller alone.
	Decide(ctx context.Context, p *Plan, req sdk.Request) Decision
}

// Route is one way to a decision, from the request to the active roles.
type Route struct {
	Schemes   []string // authentication schemes that its verifier takes, lower case
	NeedsHTTP bool     // a stage wants the original request
	Legs      []Leg
}

// Config is what a plan is made of.
type Config struct {
	Realm    string
	Tenant   string   // external and mixed
	Issuer   string   // of the realm's own tokens
	Audience []string // of the realm's own tokens; one must match
	Mode     Mode
	Timeout  time.Duration // of one decision, all stages together
	// MaxCache and MaxDenied are the most that an allowed and a denied decision may be remembered; zero: not at all.
	MaxCache, MaxDenied time.Duration

	Internal Route // token broker, authenticator, active-roles provider
	External Route // identity provider, mappers, authenticator, active-roles provider
	Admit    []Leg // authenticator, active-roles provider; internal and mixed
	Verify   []Leg // token broker; internal and mixed

	Standing Standing
	Memory   Memory           // nil: each decision is made anew
	Alone    bool             // a stage does not say that its answers may be remembered: until it gives one a time, each is for its request only
	Instead  Memory           // decides in place of the plan and its memory, also where a stage wants the original request; nil: nobody does
	Now      func() time.Time // nil: time.Now
}

// Plan is one realm's compiled way to a decision. It is immutable and safe for concurrent use.
type Plan struct {
	c    Config
	tell func(sdk.Source, Decision) // what a route came to, of a decision that is explained; nil: nobody is told
}

// NewPlan checks a config and makes a plan of it.
func NewPlan(c Config) (*Plan, error) {
	internal, external := c.Mode == ModeInternal || c.Mode == ModeMixed, c.Mode == ModeExternal || c.Mode == ModeMixed
	switch {
	case c.Realm == "":
		return nil, errors.New("a plan needs a realm")
	case !internal && !external:
		return nil, fmt.Errorf("realm %s: no authentication type", c.Realm)
	case c.Timeout <= 0:
		return nil, fmt.Errorf("realm %s: a plan needs a timeout", c.Realm)
	case c.Standing == nil:
		return nil, fmt.Errorf("realm %s: a plan needs a directory to check standing with", c.Realm)
	case internal && (len(c.Internal.Legs) == 0 || len(c.Admit) == 0 || len(c.Verify) == 0 || c.Issuer == "" || len(c.Audience) == 0):
		return nil, fmt.Errorf("realm %s: the internal route needs legs, an issuer and an audience", c.Realm)
	case external && (len(c.External.Legs) == 0 || c.Tenant == ""):
		return nil, fmt.Errorf("realm %s: the external route needs legs and a tenant", c.Realm)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Plan{c: c}, nil
}

// Realm gives the name of the plan's realm.
func (p *Plan) Realm() string { return p.c.Realm }

// Timeout gives the most that one decision takes.
func (p *Plan) Timeout() time.Duration { return p.c.Timeout }

// Mode gives the authentication type of the plan's realm.
func (p *Plan) Mode() Mode { return p.c.Mode }

// Remembers says whether a decision may be answered by what is remembered of an equal request.
func (p *Plan) Remembers() bool {
	return p.c.Memory != nil && !p.NeedsHTTP() && (p.c.MaxCache > 0 || p.c.MaxDenied > 0)
}

// Alone says whether an answer is probably of no use to an equal request, as far as the stages say before one was given.
func (p *Plan) Alone() bool { return p.c.Alone }

// NeedsHTTP says whether any stage wants Request.HTTP; only then need it be filled in.
func (p *Plan) NeedsHTTP() bool { return p.c.Internal.NeedsHTTP || p.c.External.NeedsHTTP }

func (r Route) takes(scheme string) bool { return slices.Contains(r.Schemes, scheme) }
