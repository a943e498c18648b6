package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// oddTexts are what callers send who do not mean well. The last one is larger than any message may be.
var oddTexts = []string{
	"", " ", ".", "..", "a.b.c", "e30.e30.", "null", "\x00", "\xff\xfe", "\u202e", "Bearer x", `{"a":1}`, "../../etc/passwd", "${jndi:x}",
	strings.Repeat(".", 64<<10), strings.Repeat("a", 64<<10), strings.Repeat("é", 8<<10), strings.Repeat("x", 2<<20),
}

// oddClaims are claims of which some are no JSON object.
var oddClaims = []string{``, `{}`, `[]`, `null`, `{`, `"x"`, `{"a":{"b":[1,{"c":null}]}}`, strings.Repeat(`{"a":`, 2000) + `1` + strings.Repeat(`}`, 2000)}

// checkOdd sends odd input. Whatever comes back, it is not a panic, and a token that nobody issued is not good.
func checkOdd(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	faults := odd[c.Kind](ctx, i)
	if err := c.works(ctx, i); err != nil {
		faults = append(faults, fmt.Errorf("a call after odd input: %w", err))
	}
	return errors.Join(distinct(faults), s.release(ctx, i))
}

var odd = map[sdk.Kind]func(context.Context, *Instance) []error{
	sdk.KindIdentityProvider:     oddTokens,
	sdk.KindPrincipalMapper:      oddIdentities,
	sdk.KindPrincipalRolesMapper: oddIdentities,
	sdk.KindAuthenticator:        oddCredentials,
	sdk.KindActiveRolesProvider:  oddRoles,
	sdk.KindTokenBroker:          oddTokens,
	sdk.KindSecretResolver:       oddReferences,
	sdk.KindCredentialVendor:     oddConnections,
}

// sound says what an answer to odd input must not be.
func sound(what string, input string, err error) error {
	var f *rpc.Failure
	switch {
	case errors.As(err, &f) && f.Code == rpc.CodePanic:
		return fmt.Errorf("%s %s: the plugin panics", what, excerpt(input))
	case errors.Is(err, rpc.ErrLost):
		return fmt.Errorf("%s %s: the plugin is lost", what, excerpt(input))
	}
	return nil
}

func excerpt(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%.40q... (%d bytes)", s, len(s))
	}
	return fmt.Sprintf("%q", s)
}

func oddTokens(ctx context.Context, i *Instance) (faults []error) {
	for _, scheme := range []string{"bearer", "", "x"} {
		for _, text := range oddTexts {
			st := sdk.State{Request: &sdk.Request{Realm: i.c.Setup.Realm, Scheme: scheme, Token: text}}
			err := i.step(ctx, &st)
			if err == nil {
				faults = append(faults, fmt.Errorf("the token %s is accepted", excerpt(text)))
			}
			faults = append(faults, sound("the token", text, err))
		}
	}
	return faults
}

func oddIdentities(ctx context.Context, i *Instance) (faults []error) {
	for _, text := range oddClaims {
		st := sdk.State{Request: &sdk.Request{}, Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(text))}}
		faults = append(faults, sound("the claims", text, i.Step(ctx, &st)))
	}
	for _, text := range oddTexts {
		id := sdk.Identity{Issuer: text, Subject: text, Roles: []string{text, text}, Audience: []string{text}, Expires: time.Unix(1, 0)}
		faults = append(faults, sound("the identity", text, i.Step(ctx, &sdk.State{Request: &sdk.Request{}, Identity: &id})))
	}
	return faults
}

func oddCredentials(ctx context.Context, i *Instance) (faults []error) {
	for _, source := range []sdk.Source{sdk.SourceInternal, sdk.SourceExternal} {
		for _, text := range oddTexts {
			st := sdk.State{Credential: &sdk.Credential{
				Realm: i.c.Setup.Realm, Source: source, Principal: sdk.PrincipalRef{ID: text, Name: text}, RequestedRoles: []string{text},
			}}
			faults = append(faults, sound("the credential", text, i.Step(ctx, &st)))
		}
	}
	return faults
}

// oddRoles also checks what holds for any input: active roles are granted ones.
func oddRoles(ctx context.Context, i *Instance) (faults []error) {
	granted := []string{"a", "b"}
	for _, text := range append(slices.Clone(oddTexts), "a", "ALL", "PRINCIPAL_ROLE:ALL", "PRINCIPAL_ROLE:a", "PRINCIPAL_ROLE:c") {
		st := sdk.State{
			Principal:  &sdk.Principal{ID: "1", Name: "x", Enabled: true, Roles: granted},
			Credential: &sdk.Credential{RequestedRoles: []string{text, text}},
		}
		err := i.Step(ctx, &st)
		for _, r := range st.Active {
			if !slices.Contains(granted, r) {
				faults = append(faults, fmt.Errorf("the request %s activates the role %s, which is not granted", excerpt(text), excerpt(r)))
			}
		}
		faults = append(faults, sound("the request", text, err))
	}
	return faults
}

func oddReferences(ctx context.Context, i *Instance) (faults []error) {
	for _, text := range []string{"nothing/here", "nothing?=version=7", "a:b", strings.Repeat("x", 4000), strings.Repeat("x/", 500) + "x"} {
		ref, err := sdk.ParseSecretRef("urn:realmgate-secret:store:" + text)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		_, err = i.Resolve(ctx, ref)
		faults = append(faults, wantFailure("the reference "+excerpt(text), err), sound("the reference", text, err))
	}
	return faults
}

// oddConnections also checks what holds for any input: nobody gets away without credentials, or an error.
func oddConnections(ctx context.Context, i *Instance) (faults []error) {
	var connections []sdk.Connection
	for _, text := range oddTexts {
		connections = append(connections, sdk.Connection{Realm: i.c.Setup.Realm, Name: text, URI: text, AuthenticationType: text, Authentication: []byte(`{}`)})
	}
	if i.c.Vend != nil {
		for _, text := range oddClaims {
			c := i.c.Vend.Connection
			c.Authentication = []byte(text)
			connections = append(connections, c)
		}
	}
	for _, c := range connections {
		got, err := i.Vend(ctx, sdk.VendRequest{Connection: c})
		if err == nil && len(got.Properties) == 0 && c.AuthenticationType != implicit {
			faults = append(faults, fmt.Errorf("the connection %s of the type %s gets credentials without a property", excerpt(c.Name), excerpt(c.AuthenticationType)))
		}
		faults = append(faults, sound("the connection", c.Name+string(c.Authentication), err))
	}
	return faults
}
