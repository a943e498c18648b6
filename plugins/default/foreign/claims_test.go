package foreign

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{
		`{"scope":"service_admin catalog_admin  profile\temail"}`: {"service_admin", "catalog_admin", "profile", "email"},
		`{"scope":["a b","c"]}`:                                   {"a b", "c"},
		`{"scope":null}`:                                          nil,
		`{}`:                                                      nil,
		`{"scope":""}`:                                            {},
	} {
		path, err := sdk.ParseClaimPath("scope")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Roles(sdk.NewClaims([]byte(raw)), path)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", raw, got, err, want)
		}
	}
	if got, err := Roles(sdk.NewClaims([]byte(`{"scope":"a"}`)), sdk.ClaimPath{}); got != nil || err != nil {
		t.Errorf("without a path: %q, %v", got, err)
	}
	path, _ := sdk.ParseClaimPath("scope")
	for _, raw := range []string{`{"scope":1}`, `{"scope":["a",1]}`, `{"scope":{}}`, `{"scope":true}`} {
		if got, err := Roles(sdk.NewClaims([]byte(raw)), path); got != nil || sdk.AsDenial(err) == nil {
			t.Errorf("%s: %q, %v", raw, got, err)
		}
	}
}

func TestReadClaims(t *testing.T) {
	t.Parallel()
	got, err := ReadClaims(sdk.NewClaims([]byte(`{"iss":"i","sub":"s","jti":"j","client_id":"c","aud":["a","b"],"exp":17.5,"nbf":1,"iat":2,"auth_time":3}`)))
	want := Claims{
		Issuer: "i", Subject: "s", ID: "j", Party: "c", Audience: []string{"a", "b"},
		Expires: time.UnixMilli(17500), NotBefore: time.Unix(1, 0), IssuedAt: time.Unix(2, 0), AuthTime: time.Unix(3, 0),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, raw := range []string{`{"iss":1}`, `{"sub":null}`, `{"aud":1}`, `{"aud":["a",1]}`, `{"exp":"1"}`, `{"exp":-1}`, `{"exp":1e30}`, `{"nbf":true}`, `[]`, ``} {
		if got, err := ReadClaims(sdk.NewClaims([]byte(raw))); sdk.AsDenial(err) == nil || !reflect.DeepEqual(got, Claims{}) {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
}
