package token

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// Directory knows the clients of a realm.
type Directory interface {
	// Authenticate checks a client's secret. The answer is directory.ErrBadCredentials, after equal work, whether the
	// client is unknown, its secret wrong or its principal disabled. version is that of the secret that matched.
	Authenticate(ctx context.Context, realm, clientID, secret string) (p directory.Principal, version string, err error)
}

// Issuer is the half of a sdk.TokenBroker that makes tokens.
type Issuer interface {
	Issue(context.Context, sdk.Grant) (sdk.Token, error)
}

// Admitter says whether a principal may have the roles that an internal credential asks for; *pipeline.Plan is one.
type Admitter interface {
	Admit(context.Context, sdk.Credential) pipeline.Decision
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
	// Lifetime is what the broker is asked for; zero leaves it to the broker.
	Lifetime time.Duration
	// Timeout bounds the work on one request; zero: 10 seconds.
	Timeout time.Duration

	Directory Directory
	Broker    Issuer
	Admit     Admitter
	Logger    hclog.Logger     // nil: silent
	Now       func() time.Time // nil: time.Now
}

// Service is the token service of one realm. It is an http.Handler for POST and safe for concurrent use.
type Service struct {
	c            Config
	aliases      map[string][]string
	defaultScope []string
}

const (
	defaultTimeout = 10 * time.Second
	// admissionLife is the life of the credential that stands for the token to be while the plan judges it.
	admissionLife = time.Minute
)

// New checks a config and makes a service of it.
func New(c Config) (*Service, error) {
	switch {
	case c.Realm == "" || c.Issuer == "" || len(c.Audience) == 0:
		return nil, errors.New("a token service needs a realm, an issuer and an audience")
	case c.Directory == nil || c.Broker == nil || c.Admit == nil:
		return nil, fmt.Errorf("realm %s: a token service needs a directory, a broker and a plan", c.Realm)
	case c.Lifetime < 0 || c.Timeout < 0:
		return nil, fmt.Errorf("realm %s: the lifetime and the timeout of a token service are not negative", c.Realm)
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
	s := &Service{c: c, aliases: map[string][]string{}}
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

// issued is a token and what the answer says about it.
type issued struct {
	token   sdk.Token
	scope   []string
	expires time.Duration
}

// clientCredentials serves the grant of RFC 6749 section 4.4 and notes in f that the client was authenticated. The error is a *Fault, or one that makes the service
// unavailable.
func (s *Service) clientCredentials(ctx context.Context, f *form) (issued, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	p, version, err := s.c.Directory.Authenticate(ctx, s.c.Realm, f.clientID, f.clientSecret)
	if errors.Is(err, directory.ErrBadCredentials) {
		return issued{}, badClient
	}
	if err != nil {
		return issued{}, fmt.Errorf("authenticate client: %w", err)
	}
	f.authenticated = true
	scope, fault := s.requested(*f)
	if fault != nil {
		return issued{}, fault
	}
	id, now := newTokenID(), s.c.Now()
	ref := sdk.PrincipalRef{ID: p.ID, Name: p.Name}
	d := s.c.Admit.Admit(ctx, sdk.Credential{
		Realm: s.c.Realm, Source: sdk.SourceInternal, Principal: ref, RequestedRoles: scope,
		Issuer: s.c.Issuer, Audience: s.c.Audience, TokenID: id,
		AuthTime: now, SecretVersion: version, Expires: now.Add(admissionLife),
	})
	switch d.Verdict {
	case pipeline.Allowed:
	case pipeline.Denied:
		return issued{}, faultOf(d.Denial)
	default:
		return issued{}, fmt.Errorf("admit: %w", orUnknown(d.Err))
	}
	tok, err := s.c.Broker.Issue(ctx, sdk.Grant{
		Principal: ref, ClientID: f.clientID, Scope: scope, Realm: s.c.Realm, Issuer: s.c.Issuer, Audience: s.c.Audience,
		Lifetime: s.c.Lifetime, TokenID: id, AuthTime: now, SecretVersion: version,
	})
	if err != nil {
		return issued{}, fmt.Errorf("issue: %w", err)
	}
	life, err := s.check(tok, id)
	if err != nil {
		return issued{}, fmt.Errorf("issue: %w", err)
	}
	return issued{tok, scope, life}, nil
}

// check makes sure that what the broker issued is a token that was asked for, and gives its life.
func (s *Service) check(t sdk.Token, id string) (time.Duration, error) {
	life := t.Expires.Sub(s.c.Now())
	switch {
	case !isToken(t.Value):
		return 0, errors.New("the token broker answered with a value that cannot be sent as a bearer token")
	case t.ID != "" && t.ID != id:
		return 0, errors.New("the token broker gave the token an id of its own")
	case life < time.Second:
		return 0, errors.New("the token broker answered with a token that has expired or never expires")
	case s.c.Lifetime > 0 && life > s.c.Lifetime+time.Second: // brokers may round up to whole seconds
		return 0, errors.New("the token broker answered with a token that lives longer than was asked for")
	}
	return life, nil
}

var errUnknown = errors.New("no reason given")

func orUnknown(err error) error {
	if err == nil {
		return errUnknown
	}
	return err
}
