package rpc

import (
	"context"
	"errors"
	"fmt"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

var errIncomplete = errors.New("rpc: an earlier stage left out what this one reads")

// stateToProto gives the nouns that the steps read and do not make themselves: only those travel. A noun that is missing
// is an error here, since the other side could not tell it from an empty one.
func stateToProto(steps []Step, s *sdk.State) (*pluginv1.State, error) {
	out := &pluginv1.State{}
	var identity, mapped, credential, principal bool // made by a step of the leg
	ref, roles := s.Ref != nil, s.Mapped != nil      // known at this step, from whomever
	var refMade, rolesMade bool
	for _, step := range steps {
		var missing bool
		switch step.Kind {
		case sdk.KindIdentityProvider:
			out.Request = requestToProto(s.Request)
			missing = out.Request == nil
			identity = true
		case sdk.KindTokenBroker:
			out.Request = requestToProto(s.Request)
			missing = out.Request == nil
			credential = true
		case sdk.KindPrincipalMapper, sdk.KindPrincipalRolesMapper:
			if !identity {
				out.Identity = identityToProto(s.Identity)
				missing = out.Identity == nil
			}
			if step.Kind == sdk.KindPrincipalMapper {
				ref, refMade = true, true
			} else {
				roles, rolesMade = true, true
			}
			if ref && roles && s.Request != nil {
				credential, mapped = true, true
			}
		case sdk.KindAuthenticator:
			missing = !credential && s.Credential == nil
			credentialTravels(out, s, credential, mapped, refMade, rolesMade)
			principal = true
		case sdk.KindActiveRolesProvider:
			missing = !credential && s.Credential == nil || !principal && s.Principal == nil
			credentialTravels(out, s, credential, mapped, refMade, rolesMade)
			if !principal {
				out.Principal = principalToProto(s.Principal)
			}
		default:
			return nil, fmt.Errorf("rpc: %v is not a stage of a decision", step.Kind)
		}
		if missing {
			return nil, errIncomplete
		}
	}
	return out, nil
}

// credentialTravels sends the credential, or what the plugin needs to compose it after the leg's own mappers.
func credentialTravels(out *pluginv1.State, s *sdk.State, made, mapped, refMade, rolesMade bool) {
	if !made {
		out.Credential = credentialToProto(s.Credential)
		return
	}
	if mapped && !refMade {
		out.PrincipalRef = refToProto(s.Ref)
	}
	if mapped && !rolesMade {
		out.MappedRoles = rolesToProto(s.Mapped)
	}
}

// stateFromProto gives the state that a leg starts from. There is always a request: the realm is part of it.
func stateFromProto(s *pluginv1.State, realm string) *sdk.State {
	out := &sdk.State{
		Request: requestFromProto(s.GetRequest(), realm), Identity: identityFromProto(s.GetIdentity()),
		Ref: refFromProto(s.GetPrincipalRef()), Mapped: rolesFromProto(s.GetMappedRoles()),
		Credential: credentialFromProto(s.GetCredential()), Principal: principalFromProto(s.GetPrincipal()),
	}
	if out.Request == nil {
		out.Request = &sdk.Request{Realm: realm}
	}
	return out
}

// addedToProto gives the nouns that the steps made. The composed credential is not among them: the host composes it
// itself. Nor are the claims and roles of an identity that both mappers have read: nobody else does.
func addedToProto(kinds []sdk.Kind, s *sdk.State) *pluginv1.State {
	out := &pluginv1.State{}
	var mapped, named bool
	for _, k := range kinds {
		switch k {
		case sdk.KindIdentityProvider:
			out.Identity = identityToProto(s.Identity)
		case sdk.KindPrincipalMapper:
			out.PrincipalRef, named = refToProto(s.Ref), true
		case sdk.KindPrincipalRolesMapper:
			out.MappedRoles, mapped = rolesToProto(s.Mapped), true
		case sdk.KindTokenBroker:
			out.Credential = credentialToProto(s.Credential)
		case sdk.KindAuthenticator:
			out.Principal = principalToProto(s.Principal)
		case sdk.KindActiveRolesProvider:
			out.ActiveRoles = rolesToProto(s.Active)
		}
	}
	if id := out.GetIdentity(); id != nil && mapped && named {
		id.Claims, id.Roles = nil, nil
	}
	return out
}

// replay stands for the implementations of a leg that ran elsewhere: it answers what they made. Run through [sdk.Step], a
// noun reaches the host's state only where a step of that kind makes it, however much a plugin may add.
type replay struct {
	process *Process
	added   *pluginv1.State
	step    Step
}

func left(noun string) error { return failf(CodeError, "the plugin's answer has no %s", noun) }

// Identify answers the identity that the plugin verified.
func (r replay) Identify(context.Context, sdk.Request) (sdk.Identity, error) {
	return r.process.identity(r.added.GetIdentity(), r.step)
}

// MapPrincipal answers the plugin's reference.
func (r replay) MapPrincipal(context.Context, sdk.Identity) (sdk.PrincipalRef, error) {
	return valueOr(refFromProto(r.added.GetPrincipalRef()), "principal reference")
}

// MapRoles answers the plugin's roles.
func (r replay) MapRoles(context.Context, sdk.Identity) ([]string, error) {
	return rolesOr(r.added.GetMappedRoles(), "mapped roles")
}

// Verify answers the credential that the plugin verified.
func (r replay) Verify(context.Context, sdk.Request) (sdk.Credential, error) {
	return valueOr(credentialFromProto(r.added.GetCredential()), "credential")
}

// Authenticate answers the principal that the plugin found.
func (r replay) Authenticate(context.Context, sdk.Credential) (sdk.Principal, error) {
	return valueOr(principalFromProto(r.added.GetPrincipal()), "principal")
}

// ActiveRoles answers the roles that the plugin chose.
func (r replay) ActiveRoles(context.Context, sdk.Principal, []string) ([]string, error) {
	return rolesOr(r.added.GetActiveRoles(), "active roles")
}

func valueOr[T any](v *T, noun string) (T, error) {
	if v == nil {
		var zero T
		return zero, left(noun)
	}
	return *v, nil
}

func rolesOr(r *pluginv1.Roles, noun string) ([]string, error) {
	if r == nil {
		return nil, left(noun)
	}
	return r.GetNames(), nil
}
