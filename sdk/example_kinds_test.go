package sdk_test

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// build makes an instance as the serving side does: of settings that come as JSON.
func build[T any](i sdk.Implementation, setup sdk.Setup, settings string) T {
	impl, err := i.Build(context.Background(), setup, []byte(settings))
	if err != nil {
		panic(err)
	}
	return impl.(T)
}

// stamps is an identity provider that takes one shared word, whose value is in a secret store.
type stamps struct {
	Word sdk.SecretRef `json:"word" doc:"reference to the word that callers know"`
}

func newStamps(_ context.Context, _ sdk.Setup, s stamps) (*stamps, error) { return &s, nil }

func (s *stamps) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	user, word, _ := strings.Cut(r.Token, ":")
	want, err := s.Word.Value(ctx) // our own fault if it cannot be had, and no denial
	if err != nil {
		return sdk.Identity{}, err
	}
	if subtle.ConstantTimeCompare([]byte(word), want.Reveal()) != 1 {
		return sdk.Identity{}, sdk.Deny("word_invalid", "the word is not the one of this realm")
	}
	return sdk.Identity{Issuer: "stamps", Subject: user, Claims: sdk.NewClaims(nil)}, nil
}

func ExampleIdentityProviderType() {
	offer := sdk.IdentityProviderType("stamps", newStamps, sdk.Schemes("stamp"))
	provider := build[sdk.IdentityProvider](offer, sdk.Setup{Tenant: "t"}, `{"word":"urn:realmgate-secret:vars:WORD"}`)
	ctx := sdk.WithHost(context.Background(), house{secrets: map[string]string{"WORD": "open sesame"}})
	id, err := provider.Identify(ctx, sdk.Request{Scheme: "stamp", Token: "ali:open sesame"})
	fmt.Println(id.Subject, err)
	_, err = provider.Identify(ctx, sdk.Request{Scheme: "stamp", Token: "ali:open barley"})
	fmt.Println(err)
	// Output:
	// ali <nil>
	// denied: word_invalid: the word is not the one of this realm
}

type badges struct {
	Claim string `json:"claim" default:"badge" doc:"claim that holds the badge number"`
}

func newBadges(_ context.Context, _ sdk.Setup, b badges) (*badges, error) { return &b, nil }

func (b *badges) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	badge, ok := id.Claims.String(b.Claim)
	if !ok || badge == "" {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no text in the claim %q", b.Claim)
	}
	return sdk.PrincipalRef{Name: "emp-" + badge}, nil
}

func ExamplePrincipalMapperType() {
	mapper := build[sdk.PrincipalMapper](sdk.PrincipalMapperType("badge", newBadges, sdk.Cacheable()), sdk.Setup{}, `{}`)
	ref, err := mapper.MapPrincipal(context.Background(), sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"7"}`))})
	fmt.Println(ref.Name, err)
	// Output: emp-7 <nil>
}

type teams struct{ prefix string }

func newTeams(_ context.Context, setup sdk.Setup, _ struct{}) (*teams, error) {
	return &teams{setup.RolePrefix}, nil
}

func (t *teams) MapRoles(_ context.Context, id sdk.Identity) (roles []string, err error) {
	for _, r := range id.Roles {
		if team, ok := strings.CutPrefix(r, "team/"); ok {
			roles = append(roles, t.prefix+team)
		}
	}
	return roles, nil
}

func ExamplePrincipalRolesMapperType() {
	mapper := build[sdk.PrincipalRolesMapper](sdk.PrincipalRolesMapperType("team", newTeams, sdk.Cacheable()), sdk.Setup{RolePrefix: "PRINCIPAL_ROLE:"}, `{}`)
	fmt.Println(mapper.MapRoles(context.Background(), sdk.Identity{Roles: []string{"team/ops", "offline_access"}}))
	// Output: [PRINCIPAL_ROLE:ops] <nil>
}

// known asks the directory, as almost every authenticator does.
type known struct{}

func newKnown(context.Context, sdk.Setup, struct{}) (known, error) { return known{}, nil }

func (known) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	p, err := sdk.FindPrincipal(ctx, c.Principal)
	if err == nil && !p.Enabled {
		err = sdk.Forbid("principal_disabled", "the principal is disabled")
	}
	return p, err
}

func ExampleAuthenticatorType() {
	authenticator := build[sdk.Authenticator](sdk.AuthenticatorType("known", newKnown, sdk.Wants(sdk.WantPrincipals)), sdk.Setup{Realm: "r"}, `{}`)
	ctx := sdk.WithHost(context.Background(), house{principals: map[string]sdk.Principal{"ada": {Name: "ada", Enabled: true, Roles: []string{"ops"}}}})
	p, err := authenticator.Authenticate(ctx, sdk.Credential{Principal: sdk.PrincipalRef{Name: "ada"}})
	fmt.Println(p.Name, p.Roles, err)
	_, err = authenticator.Authenticate(ctx, sdk.Credential{Principal: sdk.PrincipalRef{Name: "eve"}})
	fmt.Println(err)
	// Output:
	// ada [ops] <nil>
	// denied: principal_unknown: there is no such principal
}

// least activates what is asked for, and nothing where nothing is.
type least struct{ prefix string }

func newLeast(_ context.Context, setup sdk.Setup, _ struct{}) (*least, error) {
	return &least{setup.RolePrefix}, nil
}

func (l *least) ActiveRoles(_ context.Context, p sdk.Principal, requested []string) ([]string, error) {
	var active []string
	for _, r := range requested {
		role := strings.TrimPrefix(r, l.prefix)
		if !slices.Contains(p.Roles, role) {
			return nil, sdk.Forbid("role_not_granted", "the role %q is not granted", role)
		}
		active = append(active, role)
	}
	return active, nil
}

func ExampleActiveRolesProviderType() {
	provider := build[sdk.ActiveRolesProvider](sdk.ActiveRolesProviderType("least", newLeast, sdk.Cacheable()), sdk.Setup{RolePrefix: "ROLE:"}, `{}`)
	fmt.Println(provider.ActiveRoles(context.Background(), sdk.Principal{Roles: []string{"ops", "dev"}}, []string{"ROLE:dev"}))
	_, err := provider.ActiveRoles(context.Background(), sdk.Principal{}, []string{"ROLE:root"})
	fmt.Println(err)
	// Output:
	// [dev] <nil>
	// denied: role_not_granted: the role "root" is not granted
}

// cloakroom is a token broker whose tokens are numbers of what it remembers. They end with its process.
type cloakroom struct {
	setup  sdk.Setup
	issued map[string]sdk.Credential
}

func newCloakroom(_ context.Context, setup sdk.Setup, _ struct{}) (*cloakroom, error) {
	return &cloakroom{setup, map[string]sdk.Credential{}}, nil
}

func (c *cloakroom) Issue(_ context.Context, g sdk.Grant) (sdk.Token, error) {
	now := time.Now()
	expires := now.Add(min(g.Lifetime, time.Hour)) // never longer than the grant asks for
	value := "cloak-" + g.TokenID
	c.issued[value] = sdk.Credential{
		Realm: g.Realm, Source: sdk.SourceInternal, Principal: g.Principal, RequestedRoles: g.Scope, Issuer: g.Issuer, Audience: g.Audience,
		TokenID: g.TokenID, ClientID: g.ClientID, IssuedAt: now, AuthTime: g.AuthTime, SecretVersion: g.SecretVersion, Expires: expires,
	}
	return sdk.Token{Value: value, ID: g.TokenID, Type: "Bearer", Expires: expires}, nil
}

func (c *cloakroom) Verify(_ context.Context, r sdk.Request) (sdk.Credential, error) {
	if !strings.HasPrefix(r.Token, "cloak-") {
		return sdk.Credential{}, sdk.NotMine()
	}
	found, ok := c.issued[r.Token]
	if !ok || !time.Now().Before(found.Expires) {
		return sdk.Credential{}, sdk.Deny("token_unknown", "the token is unknown or has expired")
	}
	return found, nil
}

func ExampleTokenBrokerType() {
	broker := build[sdk.TokenBroker](sdk.TokenBrokerType("cloakroom", newCloakroom), sdk.Setup{Realm: "r"}, `{}`)
	token, err := broker.Issue(context.Background(), sdk.Grant{Realm: "r", Principal: sdk.PrincipalRef{Name: "ada"}, TokenID: "17", Lifetime: time.Minute})
	fmt.Println(token.Value, err)
	c, err := broker.Verify(context.Background(), sdk.Request{Token: token.Value})
	fmt.Println(c.Principal.Name, err)
	_, err = broker.Verify(context.Background(), sdk.Request{Token: "eyJ"})
	fmt.Println(sdk.AsDenial(err).Reason == sdk.ReasonNotMine)
	// Output:
	// cloak-17 <nil>
	// ada <nil>
	// true
}

// folder is a secret resolver of files.
type folder struct {
	Dir string `json:"dir" doc:"folder with a file for each secret"`
}

func newFolder(_ context.Context, _ sdk.Setup, f folder) (*folder, error) {
	if !filepath.IsAbs(f.Dir) {
		return nil, sdk.At(errors.New("is not an absolute path"), "dir")
	}
	return &f, nil
}

func (f *folder) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	root, err := os.OpenRoot(f.Dir) // no path leads out of it
	if err != nil {
		return sdk.Secret{}, err
	}
	defer func() { _ = root.Close() }()
	value, err := root.ReadFile(ref.Path())
	return sdk.NewSecret(value), err
}

func ExampleSecretResolverType() {
	offer := sdk.SecretResolverType("folder", newFolder, sdk.OperatorOnly())
	_, err := offer.Build(context.Background(), sdk.Setup{Store: "keys"}, []byte(`{"dir":"keys"}`))
	fmt.Println(sdk.Problems(err)[0].Path, err)
	// Output: /dir /dir: is not an absolute path
}

// badgeVendor gives everybody who may use a connection their name.
type badgeVendor struct{}

func newBadgeVendor(context.Context, sdk.Setup, struct{}) (badgeVendor, error) {
	return badgeVendor{}, nil
}

func (badgeVendor) Vend(_ context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return sdk.ConnectionCredentials{
		Properties: map[string]sdk.Secret{"caller": sdk.NewSecret([]byte(r.Caller.Name))}, Expires: time.Now().Add(time.Minute), AuditID: r.RequestID,
	}, nil
}

func ExampleCredentialVendorType() {
	vendor := build[sdk.CredentialVendor](sdk.CredentialVendorType("badge", newBadgeVendor), sdk.Setup{AuthenticationType: "BADGE"}, `{}`)
	c, err := vendor.Vend(context.Background(), sdk.VendRequest{Caller: sdk.Principal{Name: "ada"}})
	fmt.Println(c.Properties["caller"], string(c.Properties["caller"].Reveal()), err)
	// Output: [secret] ada <nil>
}
