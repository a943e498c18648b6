package main

import (
	"context"
	"errors"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

type mapper struct{}

func newMapper(context.Context, sdk.Setup, struct{}) (mapper, error) { return mapper{}, nil }

// MapPrincipal gives the subject of the claims.
func (mapper) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	if broken == "maps" {
		return sdk.PrincipalRef{}, errors.New("this build maps nobody")
	}
	name, _ := id.Claims.String("sub")
	return sdk.PrincipalRef{Name: name}, nil
}

type authenticator struct{ prefix string }

func newAuthenticator(_ context.Context, su sdk.Setup, _ struct{}) (authenticator, error) {
	return authenticator{su.RolePrefix}, nil
}

// Authenticate takes the credential's word for everything.
func (a authenticator) Authenticate(_ context.Context, c sdk.Credential) (sdk.Principal, error) {
	if broken == "authenticates" {
		return sdk.Principal{}, errors.New("this build authenticates nobody")
	}
	p := sdk.Principal{ID: c.Principal.Name, Name: c.Principal.Name, Enabled: true}
	for _, r := range c.RequestedRoles {
		p.Roles = append(p.Roles, strings.TrimPrefix(r, a.prefix))
	}
	return p, nil
}
