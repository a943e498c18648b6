package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/flight"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// askTimeout bounds the questions about one token, for which several may wait.
	askTimeout = 10 * time.Second
	// closeTimeout bounds what questions under way still have at the end.
	closeTimeout = time.Second
)

// Provider asks one server.
type Provider struct {
	settings  Settings
	client    *client.Client
	session   *login.Lease // nil: entities are not read
	memory    *memory
	questions *flight.Group[verdict]
	strangers *rate.Limiter // tokens that were never good
	known     *rate.Limiter
}

// New gives the constructor of a [Provider] whose sessions, for what is asked beside the token itself, come from a pool. It asks
// nobody: a server that is down now may be up when the first token comes.
func New(p *login.Pool) sdk.New[Settings, *Provider] {
	return func(ctx context.Context, _ sdk.Setup, s Settings) (*Provider, error) {
		c, err := client.New(ctx, s.Server)
		if err := errors.Join(err, s.check()); err != nil {
			return nil, err
		}
		half := s.RequestsPerSecond / 2
		out := &Provider{
			settings: s, client: c, memory: newMemory(), questions: flight.New[verdict](askTimeout),
			strangers: rate.NewLimiter(rate.Limit(half), s.RequestsPerSecond), known: rate.NewLimiter(rate.Limit(s.RequestsPerSecond-half), s.RequestsPerSecond),
		}
		if out.settings.Issuer == "" {
			out.settings.Issuer = c.Address()
		}
		if !s.Choice.IsZero() {
			if out.session, err = p.Open(ctx, s.Server, s.Choice); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

// Close gives the session back.
func (p *Provider) Close() error {
	p.questions.Close(closeTimeout)
	if p.session != nil {
		p.session.Close()
	}
	p.client.Close()
	return nil
}

// Check logs in where there is a login, and else asks a question that needs none: any answer of the server's own will do.
func (p *Provider) Check(ctx context.Context) error {
	if p.session != nil {
		return p.session.Check(ctx)
	}
	_, err := p.client.Do(ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self"})
	if status := client.Status(err); status >= 400 && status < 500 && status != http.StatusTooManyRequests { // for want of a token
		return nil
	}
	return err
}

// Identify has the server say what a bearer token is, unless its answer is remembered. Another scheme, and what does not look
// like a token of a server, is sdk.NotMine.
//
// A token is denied for one of token_malformed, token_inactive, token_limited, token_bound, token_root, namespace_mismatch,
// auth_path_not_allowed, policy_missing, entity_missing, entity_disabled and claim_invalid. An error that is no denial says
// that the server does not answer, or that too many tokens are asked about.
func (p *Provider) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	if r.Scheme != "bearer" || !looksLikeOne(r.Token) {
		return sdk.Identity{}, sdk.NotMine()
	}
	if len(r.Token) > client.MaxToken || strings.ContainsFunc(r.Token, notInToken) {
		return sdk.Identity{}, sdk.Deny("token_malformed", "the token is longer than %d bytes or has characters that no token has", client.MaxToken)
	}
	at := p.memory.mark(r.Token)
	v, holds, known := p.memory.get(at, time.Now())
	if !holds {
		var err error
		if v, err = p.ask(ctx, at, r.Token, known); err != nil {
			return sdk.Identity{}, err
		}
	}
	sdk.CacheFor(ctx, time.Until(v.until))
	if v.denial != nil {
		return sdk.Identity{}, v.denial
	}
	return v.identity, nil
}

// looksLikeOne knows the prefixes of service and batch tokens, of today and before.
func looksLikeOne(token string) bool {
	for _, prefix := range []string{"hvs.", "hvb.", "s.", "b."} {
		if rest, ok := strings.CutPrefix(token, prefix); ok {
			return rest != ""
		}
	}
	return false
}

func notInToken(c rune) bool {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	return !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != '=' && c != '+' && c != '/'
}

// ask joins the question about the token that is under way, or asks one.
func (p *Provider) ask(ctx context.Context, at mark, token string, known bool) (verdict, error) {
	return p.questions.Do(ctx, string(at[:]), func(ctx context.Context) (verdict, error) { return p.fly(ctx, at, token, known) })
}

func (p *Provider) fly(ctx context.Context, at mark, token string, known bool) (verdict, error) {
	if v, holds, _ := p.memory.get(at, time.Now()); holds { // of a question that has just been answered
		return v, nil
	}
	limit := p.strangers
	if known {
		limit = p.known
	}
	if !limit.Allow() {
		return verdict{}, fmt.Errorf("%w: more tokens are presented than requests_per_second lets the server be asked about", sdk.ErrBusy)
	}
	v, err := p.lookUp(ctx, token)
	if err != nil {
		return verdict{}, err
	}
	p.memory.keep(at, v)
	return v, nil
}

// lookUp asks the server with the token itself.
func (p *Provider) lookUp(ctx context.Context, token string) (verdict, error) {
	now := time.Now()
	refused := func(err error) (verdict, error) {
		return verdict{denial: err, until: now.Add(min(p.settings.MaxAge.Std(), refusedFor))}, nil
	}
	// Each question uses up a token that may be used so many times: it is not repeated.
	out, err := p.client.Do(ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self", Token: token, Once: true})
	if client.Denied(err) { // what something in between says denies nobody
		return refused(sdk.Deny("token_inactive", "the server does not know the token, or its policies do not let it look itself up"))
	}
	if err != nil {
		return verdict{}, err
	}
	if out == nil {
		return verdict{}, errors.New("the server says nothing of the token")
	}
	about, err := read(out.Data)
	if err != nil {
		return verdict{}, err
	}
	if err := p.check(about); err != nil {
		return refused(err)
	}
	e, err := p.entity(ctx, about.EntityID)
	if sdk.AsDenial(err) != nil {
		return refused(err)
	}
	if err != nil {
		return verdict{}, err
	}
	id, size, err := p.identity(about, e, now)
	if sdk.AsDenial(err) != nil {
		return refused(err)
	}
	if err != nil {
		return verdict{}, err
	}
	until := now.Add(p.settings.MaxAge.Std())
	if !id.Expires.IsZero() && id.Expires.Before(until) {
		until = id.Expires
	}
	return verdict{identity: id, until: until, size: size}, nil
}
