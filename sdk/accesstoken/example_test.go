package accesstoken_test

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/accesstoken"
)

// A broker makes the token of a grant, and takes it for what it is when it comes back.
func Example() {
	realm, err := accesstoken.ForRealm(sdk.Setup{Realm: "r", Issuer: "https://gate.example/r", Audience: []string{"services"}}, sdk.Duration(time.Hour))
	if err != nil {
		panic(err)
	}
	public, private, _ := ed25519.GenerateKey(nil)
	now := time.Now()

	claims, err := realm.Claims(sdk.Grant{
		Realm: "r", Issuer: "https://gate.example/r", Audience: []string{"services"}, Principal: sdk.PrincipalRef{Name: "ada"}, TokenID: "17", Lifetime: time.Minute,
	}, now, time.Time{})
	if err != nil {
		panic(err)
	}
	token, err := accesstoken.Sign(claims, "EdDSA", "key-1", func(signed string) ([]byte, error) { return ed25519.Sign(private, []byte(signed)), nil })
	if err != nil {
		panic(err)
	}

	shown, err := realm.Parse(sdk.Request{Scheme: "bearer", Token: token.Value}, func(algorithm string) bool { return algorithm == "EdDSA" })
	if err != nil {
		panic(err)
	}
	fmt.Println(shown.KeyID, ed25519.Verify(public, []byte(shown.Signed), shown.Signature))
	c, err := realm.Credential(shown.Claims, now)
	fmt.Println(c.Principal.Name, err)
	_, err = realm.Credential(shown.Claims, now.Add(time.Hour))
	fmt.Println(sdk.AsDenial(err).Reason)
	_, err = realm.Parse(sdk.Request{Scheme: "bearer", Token: "another's"}, nil)
	fmt.Println(sdk.AsDenial(err).Reason)
	// Output:
	// key-1 true
	// ada <nil>
	// token_expired
	// not_mine
}
