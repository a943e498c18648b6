package pipeline

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Verdict is the outcome of a decision.
type Verdict uint8

// The verdicts. The zero Verdict never allows.
const (
	Unavailable Verdict = iota // we are at fault: 503
	Denied                     // the caller is at fault: 401 or 403
	Allowed
)

// String gives "unavailable", "denied" or "allowed".
func (v Verdict) String() string {
	switch v {
	case Denied:
		return "denied"
	case Allowed:
		return "allowed"
	}
	return "unavailable"
}

// Decision is the answer to one request.
type Decision struct {
	Verdict   Verdict
	Realm     string
	Tenant    string     // of an external credential
	Source    sdk.Source // of the credential, once one was verified
	Principal sdk.Principal
	Roles     []string    // active, without a prefix
	Denial    *sdk.Denial // when Denied
	Err       error       // when Unavailable: for the log, never for the caller
	// Credential is the verified one behind what Plan.DecideOwn and Plan.Admit allow; nil otherwise.
	Credential *sdk.Credential
	TokenID    string
	Expires    time.Time     // of the credential; zero: unknown
	CacheFor   time.Duration // how long the decision may be remembered; zero: not at all
	Alone      bool          // a stage said that its answer is for this request only: no other one may be given it, whatever it is
}

// Decide answers who the caller of req is, by what is remembered of an equal request if there is a memory. req.Realm is set
// to the plan's. The whole decision has one deadline. What is answered is the caller's own.
func (p *Plan) Decide(ctx context.Context, req sdk.Request) Decision {
	if p.c.Instead != nil {
		return p.c.Instead.Decide(ctx, p, req)
	}
	if !p.Remembers() {
		return p.DecideAnew(ctx, req)
	}
	return p.c.Memory.Decide(ctx, p, req)
}

// DecideAnew is Decide with nothing remembered.
func (p *Plan) DecideAnew(ctx context.Context, req sdk.Request) Decision {
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	req.Realm = p.c.Realm
	d, hint := Decision{Realm: p.c.Realm}, sdk.CacheHint{}
	switch p.c.Mode {
	case ModeInternal:
		d, hint = p.walk(ctx, req, p.c.Internal, sdk.SourceInternal)
	case ModeExternal:
		d, hint = p.walk(ctx, req, p.c.External, sdk.SourceExternal)
	case ModeMixed:
		d, hint = p.mixed(ctx, req)
	}
	d.Credential = nil
	d.CacheFor = p.cacheFor(d, hint)
	return final(d)
}

// DecideOwn decides on a token that has to be one of the realm's own: the external side is not asked. The token service
// asks it about tokens that are presented for an exchange or for introspection.
func (p *Plan) DecideOwn(ctx context.Context, req sdk.Request) Decision {
	if p.c.Mode == ModeExternal {
		return Decision{Realm: p.c.Realm}
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	req.Realm = p.c.Realm
	d, _ := p.walk(ctx, req, p.c.Internal, sdk.SourceInternal)
	return final(d)
}

// Verify says what a token of the realm's own says, whether or not its principal may enter with it now: a token that is
// refused today because of a role may be accepted tomorrow. A *sdk.Denial says that it is no such token or that it has
// expired; another error, that nobody can tell.
func (p *Plan) Verify(ctx context.Context, req sdk.Request) (sdk.Credential, error) {
	if p.c.Mode == ModeExternal || !p.c.Internal.takes(req.Scheme) {
		return sdk.Credential{}, sdk.NotMine()
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	req.Realm, req.HTTP = p.c.Realm, nil
	c, err := p.verify(ctx, req)
	if err == nil {
		return c, nil
	}
	d := Decision{}.fail(err).without(req.Token)
	if d.Denial != nil {
		return sdk.Credential{}, d.Denial
	}
	return sdk.Credential{}, d.Err
}

func (p *Plan) verify(ctx context.Context, req sdk.Request) (sdk.Credential, error) {
	s := sdk.State{Request: &req}
	for _, l := range p.c.Verify {
		if err := l.Run(ctx, &s); err != nil {
			return sdk.Credential{}, err
		}
	}
	if s.Credential == nil {
		return sdk.Credential{}, errors.New("the token broker answered without a credential")
	}
	return *s.Credential, p.checkCredential(*s.Credential, sdk.SourceInternal)
}

// mixed asks the internal side first. Only a token that it does not recognise falls through; one of ours that is bad is a
// final no. While the internal side cannot tell, the external side's yes counts, but its no does not: the token might have
// been ours. The internal side has half of the time at most, so that one that hangs leaves the other side enough. A yes that
// counts only for as long as the internal side cannot tell is not to be remembered.
func (p *Plan) mixed(ctx context.Context, req sdk.Request) (Decision, sdk.CacheHint) {
	end, _ := ctx.Deadline() // it always has one
	half, cancel := context.WithTimeout(ctx, time.Until(end)/2)
	in, inHint := p.walk(half, req, p.c.Internal, sdk.SourceInternal)
	cancel()
	if in.Verdict == Allowed || in.Verdict == Denied && in.Denial.Reason != sdk.ReasonNotMine {
		return in, inHint
	}
	ex, hint := p.walk(ctx, req, p.c.External, sdk.SourceExternal)
	ex.Alone = ex.Alone || in.Alone
	if in.Verdict == Unavailable {
		hint.NoStore = true
		if ex.Verdict == Denied {
			in.Alone = ex.Alone
			return in, hint
		}
	}
	return ex, hint.Least(inHint)
}

// final gives a NotMine that nobody else is left to answer its public name.
func final(d Decision) Decision {
	if d.Verdict == Denied && d.Denial.Reason == sdk.ReasonNotMine {
		d.Denial = &sdk.Denial{Reason: "token_not_recognised", Detail: "this realm does not accept such a credential", Challenge: d.Denial.Challenge}
	}
	return d
}

// Admit decides on an internal credential that the host verified itself: the token service asks it, before it issues,
// whether the principal may have the requested roles. The credential is checked like one that a broker verified.
func (p *Plan) Admit(ctx context.Context, c sdk.Credential) Decision {
	if p.c.Mode == ModeExternal {
		return Decision{Realm: p.c.Realm}
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	s := sdk.State{Request: &sdk.Request{Realm: p.c.Realm}, Credential: &c}
	return p.run(ctx, &s, p.c.Admit, sdk.SourceInternal)
}

// walk goes a route, and gives what its stages say about remembering where it led.
func (p *Plan) walk(ctx context.Context, req sdk.Request, r Route, src sdk.Source) (Decision, sdk.CacheHint) {
	if !r.takes(req.Scheme) {
		d := Decision{Realm: p.c.Realm, Verdict: Denied, Denial: sdk.AsDenial(sdk.NotMine())}
		if p.tell != nil {
			p.tell(src, d)
		}
		return d, sdk.CacheHint{}
	}
	if !r.NeedsHTTP {
		req.HTTP = nil
	}
	s := sdk.State{Request: &req}
	d := p.run(ctx, &s, r.Legs, src).without(req.Token)
	d.Alone = s.Cache.NoStore
	if p.tell != nil {
		p.tell(src, d)
	}
	return d, s.Cache
}

// without takes the presented token out of what a plugin says about it: the text goes to the caller and to the log.
func (d Decision) without(token string) Decision {
	const least = 8 // shorter ones hide nothing and would riddle the text
	if len(token) < least {
		return d
	}
	if d.Denial != nil && strings.Contains(d.Denial.Detail, token) {
		clean := *d.Denial
		clean.Detail = strings.ReplaceAll(clean.Detail, token, "[token]")
		d.Denial = &clean
	}
	if d.Err != nil && strings.Contains(d.Err.Error(), token) {
		d.Err = errors.New(strings.ReplaceAll(d.Err.Error(), token, "[token]"))
	}
	return d
}

func (p *Plan) run(ctx context.Context, s *sdk.State, legs []Leg, src sdk.Source) Decision {
	d := Decision{Realm: p.c.Realm, Source: src}
	for _, l := range legs {
		if err := l.Run(ctx, s); err != nil {
			return d.fail(err)
		}
		if s.Identity != nil {
			s.Identity.Tenant = p.c.Tenant // whatever the plugin says
		}
	}
	if err := p.check(ctx, s, src); err != nil {
		return d.fail(err)
	}
	if src == sdk.SourceExternal {
		d.Tenant = p.c.Tenant
	} else {
		d.Credential = s.Credential
	}
	d.Principal, d.Roles = *s.Principal, s.Active
	d.TokenID, d.Expires = s.Credential.TokenID, s.Credential.Expires
	d.Verdict = Allowed
	return d
}

func (d Decision) fail(err error) Decision {
	if no := sdk.AsDenial(err); no != nil {
		d.Verdict, d.Denial = Denied, no
		return d
	}
	d.Verdict, d.Err = Unavailable, err
	return d
}

// cacheFor takes the least of all lives. A denial with a challenge is for one answer only: there may be a nonce in it.
func (p *Plan) cacheFor(d Decision, hint sdk.CacheHint) time.Duration {
	var least time.Duration
	switch {
	case hint.NoStore:
	case d.Verdict == Allowed:
		least = p.c.MaxCache
	case d.Verdict == Denied && len(d.Denial.Challenge) == 0:
		least = p.c.MaxDenied
	}
	if hint.MaxAge > 0 {
		least = min(least, hint.MaxAge)
	}
	if !d.Expires.IsZero() {
		least = min(least, d.Expires.Sub(p.c.Now()))
	}
	return max(least, 0)
}
