package sdk_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/realmgate/realmgate/sdk"
)

type badge struct {
	Claim  sdk.ClaimPath `json:"claim" doc:"claim that holds the badge number"`
	Prefix string        `json:"prefix" default:"emp-" doc:"put before the badge number"`
}

func newBadge(_ context.Context, _ sdk.Setup, b badge) (*badge, error) { return &b, nil }

func (b *badge) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	found, _ := id.Claims.Lookup(b.Claim)
	if number, ok := found.(string); ok {
		return sdk.PrincipalRef{Name: b.Prefix + number}, nil
	}
	return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no text in the claim %s", b.Claim)
}

// A part is a struct with settings, a constructor and a method. A plugin's main gives it to serve.Main.
func ExamplePrincipalMapperType() {
	part := sdk.PrincipalMapperType("badge", newBadge, sdk.Cacheable())
	fmt.Println(part.Kind(), part.Type(), part.Cacheable())

	built, err := part.Build(context.Background(), sdk.Setup{Tenant: "acme"}, []byte(`{"claim":"acme/badge"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	mapper := built.(sdk.PrincipalMapper)
	ref, err := mapper.MapPrincipal(context.Background(), sdk.Identity{Claims: sdk.NewClaims([]byte(`{"acme":{"badge":"7"}}`))})
	fmt.Println(ref.Name, err)
	_, err = mapper.MapPrincipal(context.Background(), sdk.Identity{})
	fmt.Println(err)
	// Output:
	// principal-mapper badge true
	// emp-7 <nil>
	// denied: claim_missing: the token has no text in the claim acme/badge
}

// All that is wrong with settings comes at once, each fault with its place.
func ExampleDecode() {
	var b badge
	err := sdk.Decode([]byte(`{"claims":"badge","prefix":7}`), &b)
	for _, p := range sdk.Problems(err) {
		fmt.Println(p.Path, p.Summary)
	}
	// Output:
	// /claim the key "claim" is required
	// /prefix a string is wanted
	// /claims there is no key "claims" here; did you mean "claim"?
}

// A denial says that the caller is at fault; every other error that the part is.
func ExampleAsDenial() {
	for _, err := range []error{sdk.Deny("token_expired", "the token has expired"), sdk.Forbid("principal_disabled", "the principal is disabled"), errors.New("no answer")} {
		d := sdk.AsDenial(err)
		switch {
		case d == nil:
			fmt.Println(503, err)
		case d.Forbidden:
			fmt.Println(403, d.Reason)
		default:
			fmt.Println(401, d.Reason)
		}
	}
	// Output:
	// 401 token_expired
	// 403 principal_disabled
	// 503 no answer
}

// A segment with a slash in it stands in double quotes.
func ExampleParseClaimPath() {
	path, err := sdk.ParseClaimPath(`realm/"https://ns.example.com/claims"/id`)
	if err != nil {
		fmt.Println(err)
		return
	}
	id, ok := sdk.NewClaims([]byte(`{"realm":{"https://ns.example.com/claims":{"id":12345678901234567890}}}`)).Lookup(path)
	fmt.Println(id, ok)
	// Output: 12345678901234567890 true
}

// A reference names a place; a secret that is pasted in its stead is refused, and not repeated.
func ExampleParseSecretRef() {
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:vault:realm1/db?=version=3#password")
	fmt.Println(ref.Store(), ref.Path(), ref.Version(), ref.Field(), err)
	_, err = sdk.ParseSecretRef("hunter2")
	fmt.Println(err)
	// Output:
	// vault realm1/db 3 password <nil>
	// a secret reference (urn:realmgate-secret:<store>:<path>) is wanted, not the secret itself
}

// A secret prints as no more than that, whichever way it is printed.
func ExampleSecret() {
	s := sdk.NewSecret([]byte("hunter2"))
	fmt.Println(s)
	fmt.Printf("%+v %s %x\n", s, s, s)
	fmt.Println(len(s.Reveal()))
	// Output:
	// [secret]
	// [secret] [secret] [secret]
	// 7
}
