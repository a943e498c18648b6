package sdk

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// State is what one decision has gathered so far. Each stage reads what earlier ones left and adds one noun.
type State struct {
	Request    *Request
	Identity   *Identity
	Ref        *PrincipalRef
	Mapped     []string // nil until the roles mapper has spoken
	Credential *Credential
	Principal  *Principal
	Active     []string // nil until the active-roles provider has spoken
	Cache      CacheHint
	Notes      *Notes // nil unless the decision is explained
}

// PanicError is the error of a stage that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error names the panic's value.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Guard calls f and turns a panic into a *PanicError.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Step runs one stage of a decision on s. It is the only place that knows what a kind reads and writes: a fused leg in a
// plugin, a unary call of the host and a test in process all go through it. impl must satisfy the interface of kind k.
//
// On an error s keeps what it had. A panic becomes an error.
func Step(ctx context.Context, k Kind, impl any, s *State) error {
	box := &hintBox{Context: ctx, notes: s.Notes}
	err := Guard(func() error { return step(box, k, impl, s) })
	s.Cache = s.Cache.Least(box.said())
	if d := AsDenial(err); d != nil && d.Reason == ReasonNotMine && k != KindTokenBroker && k != KindIdentityProvider {
		return fmt.Errorf("%v answered %s, which only a verifier may", k, ReasonNotMine)
	}
	return err
}

var errState = errors.New("sdk: an earlier stage left out what this one reads")

func step(ctx context.Context, k Kind, impl any, s *State) error {
	switch k {
	case KindIdentityProvider:
		if s.Request == nil {
			return errState
		}
		id, err := impl.(IdentityProvider).Identify(ctx, *s.Request)
		if err != nil {
			return err
		}
		s.Identity = &id
	case KindPrincipalMapper:
		if s.Identity == nil {
			return errState
		}
		ref, err := impl.(PrincipalMapper).MapPrincipal(ctx, *s.Identity)
		if err != nil {
			return err
		}
		s.Ref = &ref
		s.compose()
	case KindPrincipalRolesMapper:
		if s.Identity == nil {
			return errState
		}
		roles, err := impl.(PrincipalRolesMapper).MapRoles(ctx, *s.Identity)
		if err != nil {
			return err
		}
		s.Mapped = append([]string{}, roles...)
		s.compose()
	case KindTokenBroker:
		if s.Request == nil {
			return errState
		}
		c, err := impl.(CredentialVerifier).Verify(ctx, *s.Request)
		if err != nil {
			return err
		}
		c.Source = SourceInternal
		s.Credential = &c
	case KindAuthenticator:
		if s.Credential == nil {
			return errState
		}
		p, err := impl.(Authenticator).Authenticate(ctx, *s.Credential)
		if err != nil {
			return err
		}
		if p.Realm == "" {
			p.Realm = s.Credential.Realm
		}
		s.Principal = &p
	case KindActiveRolesProvider:
		if s.Principal == nil || s.Credential == nil {
			return errState
		}
		roles, err := impl.(ActiveRolesProvider).ActiveRoles(ctx, *s.Principal, s.Credential.RequestedRoles)
		if err != nil {
			return err
		}
		s.Active = append([]string{}, roles...)
	default:
		return fmt.Errorf("sdk: %v is not a stage of a decision", k)
	}
	return nil
}

// compose makes the credential once both mappers have spoken.
func (s *State) compose() {
	if s.Ref == nil || s.Mapped == nil || s.Request == nil {
		return
	}
	s.Credential = &Credential{
		Realm: s.Request.Realm, Source: SourceExternal,
		Principal: *s.Ref, RequestedRoles: s.Mapped,
		Issuer: s.Identity.Issuer, Audience: s.Identity.Audience, TokenID: s.Identity.TokenID,
		AuthTime: s.Identity.AuthTime, Expires: s.Identity.Expires,
	}
}
