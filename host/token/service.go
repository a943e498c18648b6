package token

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// Directory knows the clients of a realm.
type Directory interface {
	// Authenticate checks a client's secret. The answer is directory.ErrBadCredentials, after equal work, whether the
	// client is unknown, its secret wrong or its principal disabled. version is that of the secret that matched.
	Authenticate(ctx context.Context, realm, clientID, secret string) (p directory.Principal, version string, err error)
	// GetPrincipalByID gives a principal as it is now, or directory.ErrNotFound.
	GetPrincipalByID(ctx context.Context, realm, id string) (directory.Principal, error)
	// RevokeToken denies a token, or all tokens of a session, from now on until they expire by themselves.
	RevokeToken(ctx context.Context, realm, issuer, tokenID string, until time.Time) error
	// IsRevoked says whether RevokeToken was called with the same id.
	IsRevoked(ctx context.Context, realm, issuer, tokenID string) (bool, error)
	// MoveEpoch ends what is remembered of the realm's decisions.
	MoveEpoch(ctx context.Context, realm string) error
}

// Issuer is the half of a sdk.TokenBroker that makes tokens.
type Issuer interface {
	Issue(context.Context, sdk.Grant) (sdk.Token, error)
}

// Plan is what the service asks the realm's plan; *pipeline.Plan is one.
type Plan interface {
	// Admit says whether a principal may have the roles that an internal credential asks for.
	Admit(context.Context, sdk.Credential) pipeline.Decision
	// DecideOwn decides on a token of the realm's own as the check door does.
	DecideOwn(context.Context, sdk.Request) pipeline.Decision
	// Verify says what a token of the realm's own says, whether or not its principal may enter with it.
	Verify(context.Context, sdk.Request) (sdk.Credential, error)
}

// Config is what a service is made of.
type Config struct {
	Realm    string   // name of the realm
	Issuer   string   // of its tokens
	Audience []string // of its tokens
	// RolePrefix is what every item of a scope starts with, e.g. "PRINCIPAL_ROLE:".
	RolePrefix string
	// DefaultScope stands for a scope that was left out; empty: a client must name one.
	DefaultScope string
	// ScopeAliases replaces whole items of a scope, e.g. "catalog", which Iceberg clients send, by "PRINCIPAL_ROLE:ALL".
	ScopeAliases map[string]string
	// MaxSession is how long a client may go on with tokens that come from one authentication with its secret: no token
	// ends later, however often it was exchanged. Zero: 12 hours.
	MaxSession time.Duration
	// URL is where clients reach the realm, e.g. https://auth.example.com/realms/demo; metadata derives its endpoints from
	// it, never from a request.
	URL string
	// Timeout bounds the work on one request; zero: 10 seconds.
	Timeout time.Duration

	Directory Directory
	Broker    Issuer
	Keys      sdk.KeyPublisher // nil: the broker publishes no keys
	Plan      Plan
	// Former is a service of the same realm and the same broker, before a reload: what it knows of the broker's keys, and
	// what the audit log was told of them, lives on. nil: there is none.
	Former *Service
	Guard  Guard            // nil: nothing is limited
	Audit  *audit.Log       // nil: no lines are kept
	Logger hclog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
}

// Service is the token service of one realm; as an http.Handler it is the token endpoint. It is safe for concurrent use.
type Service struct {
	c            Config
	keys         *keySet // nil: there are none
	notes        *keyNotes
	aliases      map[string][]string
	defaultScope []string
	refusals     *rate.Limiter // of lines about those who proved nothing, in the log
}

const (
	defaultTimeout    = 10 * time.Second
	defaultMaxSession = 12 * time.Hour
	// admissionLife is the life of the credential that stands for the token to be while the plan judges it.
	admissionLife = time.Minute
	// refusalsAtOnce is how many refusals of those who proved nothing are logged at once; after these it is one a second.
	refusalsAtOnce = 60
)

// New checks a config and makes a service of it.
func New(c Config) (*Service, error) {
	switch {
	case c.Realm == "" || c.Issuer == "" || len(c.Audience) == 0 || c.URL == "":
		return nil, errors.New("a token service needs a realm, an issuer, an audience and a URL")
	case c.Directory == nil || c.Broker == nil || c.Plan == nil:
		return nil, fmt.Errorf("realm %s: a token service needs a directory, a broker and a plan", c.Realm)
	case c.Timeout < 0 || c.MaxSession < 0:
		return nil, fmt.Errorf("realm %s: the lifetime, the longest session and the timeout of a token service are not negative", c.Realm)
	}
	if c.MaxSession == 0 {
		c.MaxSession = defaultMaxSession
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Guard == nil {
		c.Guard = unguarded{&c}
	}
	former := c.Former
	c.Former = nil // it is not kept, nor are those before it
	s := &Service{c: c, aliases: map[string][]string{}, notes: newKeyNotes(c), refusals: rate.NewLimiter(1, refusalsAtOnce)}
	if former != nil {
		s.notes, s.keys = former.notes, former.keys
	}
	if c.Keys != nil && s.keys == nil {
		s.keys = newKeySet(c, s.notes)
	}
	if c.RolePrefix != "" && !isScopeToken(c.RolePrefix) {
		return nil, fmt.Errorf("realm %s: the role prefix %q cannot be part of a scope", c.Realm, c.RolePrefix)
	}
	for alias, to := range c.ScopeAliases {
		items := strings.Fields(to)
		if !isScopeToken(alias) || len(items) == 0 {
			return nil, fmt.Errorf("realm %s: the scope alias %q is not a scope item, or stands for nothing", c.Realm, alias)
		}
		for _, item := range items {
			if !s.isRole(item) {
				return nil, fmt.Errorf("realm %s: the scope alias %q: %q is not of the form %s<role>", c.Realm, alias, item, c.RolePrefix)
			}
		}
		s.aliases[alias] = items
	}
	if c.DefaultScope != "" {
		items, fault := s.scope(c.DefaultScope)
		if fault != nil {
			return nil, fmt.Errorf("realm %s: the default scope: %s", c.Realm, fault.Description)
		}
		s.defaultScope = items
	}
	return s, nil
}
