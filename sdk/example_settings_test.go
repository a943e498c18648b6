package sdk_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/realmgate/realmgate/sdk"
)

type shop struct {
	Name    string        `json:"name" doc:"what callers read"`
	Open    sdk.Duration  `json:"open" default:"8h" doc:"how long it is open"`
	Key     sdk.SecretRef `json:"key,omitempty" doc:"key of the till"`
	Counter sdk.ClaimPath `json:"counter,omitempty" doc:"path of the claim with the counter"`
}

func ExampleDecode() {
	var s shop
	fmt.Println(sdk.Decode([]byte(`{"name":"Ali's"}`), &s), s.Open)
	for _, p := range sdk.Problems(sdk.Decode([]byte(`{"namee":"Ali's","open":"soon"}`), &shop{})) {
		fmt.Println(p)
	}
	// Output:
	// <nil> 8h0m0s
	// /name: the key "name" is required
	// /open: "soon" is not a duration; write PT1H or 1h
	// /namee: there is no key "namee" here; did you mean "name"?
}

func ExampleProblems() {
	err := errors.Join(sdk.At(errors.New("is not a number"), "shelves", 2, "height"), errors.New("the shop is closed"))
	for _, p := range sdk.Problems(err) {
		fmt.Printf("%q %s\n", p.Path, p.Summary)
	}
	// Output:
	// "/shelves/2/height" is not a number
	// "" the shop is closed
}

// A constructor blames the key that is wrong, so that the operator is shown the line.
func ExampleAt() {
	fmt.Println(sdk.At(errors.New("is not a number"), "shelves", 2, "height"))
	// Output: /shelves/2/height: is not a number
}

func ExampleWarn() {
	ctx, warnings := sdk.CollectWarnings(context.Background()) // the serving side does it
	sdk.Warn(ctx, sdk.At(errors.New("a shop without a key can be robbed"), "key"))
	fmt.Println(warnings()[0])
	// Output: /key: a shop without a key can be robbed
}

func ExampleCollectWarnings() { ExampleWarn() }

func ExampleSchemaOf() {
	fmt.Println(string(sdk.SchemaOf[struct {
		Name string `json:"name" doc:"what callers read"`
	}]()))
	// Output:
	// {
	//   "$schema": "https://json-schema.org/draft/2020-12/schema",
	//   "additionalProperties": false,
	//   "properties": {
	//     "name": {
	//       "description": "what callers read",
	//       "type": "string"
	//     }
	//   },
	//   "required": [
	//     "name"
	//   ],
	//   "type": "object"
	// }
}

func ExampleParseClaimPath() {
	path, err := sdk.ParseClaimPath(`realm_access/"https://acme.example/roles"`)
	claims := sdk.NewClaims([]byte(`{"realm_access":{"https://acme.example/roles":["ops"]}}`))
	found, ok := claims.Lookup(path)
	fmt.Println(found, ok, err)
	// Output: [ops] true <nil>
}

func ExampleNewClaims() {
	claims := sdk.NewClaims([]byte(`{"sub":"ada","id":9007199254740993}`))
	sub, ok := claims.String("sub")
	fmt.Println(sub, ok, claims.Map()["id"]) // every digit of it
	_, ok = claims.String("id")              // is no string
	fmt.Println(ok)
	// Output:
	// ada true 9007199254740993
	// false
}

func ExampleParseDuration() {
	for _, text := range []string{"PT1H30M", "90m", "P1D"} {
		d, err := sdk.ParseDuration(text)
		fmt.Println(d.Std(), err)
	}
	_, err := sdk.ParseDuration("P1M") // months have no fixed length
	fmt.Println(err != nil)
	// Output:
	// 1h30m0s <nil>
	// 1h30m0s <nil>
	// 24h0m0s <nil>
	// true
}

func ExampleParseSecretRef() {
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:vault:db/main?=version=3#password")
	fmt.Println(ref.Store(), ref.Path(), ref.Version(), ref.Field(), err)
	fmt.Println(ref.Whole())
	// Output:
	// vault db/main 3 password <nil>
	// urn:realmgate-secret:vault:db/main?=version=3
}

func ExampleSecretRefsIn() {
	fmt.Println(sdk.SecretRefsIn([]byte(`{"user":"u","password":"urn:realmgate-secret:vault:db#password"}`)))
	// Output: [urn:realmgate-secret:vault:db#password]
}

// A secret does not get into a log by mistake.
func ExampleNewSecret() {
	s := sdk.NewSecret([]byte(`{"user":"u","password":"hunter2"}`))
	fmt.Printf("%v %s %q %#v\n", s, s, s, s)
	password, err := s.Field("password")
	fmt.Println(string(password.Reveal()), err)
	// Output:
	// [secret] [secret] [secret] [secret]
	// hunter2 <nil>
}

func ExampleKinds() {
	for _, k := range sdk.Kinds() {
		fmt.Println(k)
	}
	// Output:
	// identity-provider
	// principal-mapper
	// principal-roles-mapper
	// authenticator
	// active-roles-provider
	// token-broker
	// secret-resolver
	// credential-vendor
}

// An answer that depends on the identity alone may be remembered.
func ExampleCacheable() {
	fmt.Println(sdk.PrincipalMapperType("badge", newBadges, sdk.Cacheable()).Cacheable(), sdk.PrincipalMapperType("badge", newBadges).Cacheable())
	// Output: true false
}

func ExampleSchemes() {
	fmt.Println(sdk.IdentityProviderType("stamps", newStamps, sdk.Schemes("stamp", "seal")).Schemes())
	// Output: [stamp seal]
}

func ExampleWants() {
	fmt.Println(sdk.AuthenticatorType("known", newKnown, sdk.Wants(sdk.WantPrincipals)).Wants())
	// Output: [principals]
}

func ExampleNeedsHTTP() {
	fmt.Println(sdk.IdentityProviderType("stamps", newStamps, sdk.NeedsHTTP()).NeedsHTTP())
	// Output: true
}

func ExampleOperatorOnly() {
	fmt.Println(sdk.SecretResolverType("folder", newFolder, sdk.OperatorOnly()).OperatorOnly())
	// Output: true
}

func ExampleExternalOnly() {
	fmt.Println(sdk.AuthenticatorType("known", newKnown, sdk.ExternalOnly()).ExternalOnly())
	// Output: true
}
