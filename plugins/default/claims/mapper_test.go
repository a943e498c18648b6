package claims

import (
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestMapPrincipal(t *testing.T) {
	t.Parallel()
	nested := `{"polaris":{"roles":["PRINCIPAL_ROLE:ALL"],"principal_name":"root","principal_id":1}}`
	both := `{"id_claim_path":"polaris/principal_id","name_claim_path":"polaris/principal_name"}`
	tests := map[string]struct {
		settings, claims string
		want             sdk.PrincipalRef
		reason           string
	}{
		"nested claims":                   {both, nested, sdk.PrincipalRef{ID: "1", Name: "root"}, ""},
		"generic claims":                  {`{"id_claim_path":"sub","name_claim_path":"preferred_username"}`, `{"sub":"1","preferred_username":"root"}`, sdk.PrincipalRef{ID: "1", Name: "root"}, ""},
		"namespaced claim":                {`{"name_claim_path":"foo/\"https://ns/claim\"/bar"}`, `{"foo":{"https://ns/claim":{"bar":"alice"}}}`, sdk.PrincipalRef{Name: "alice"}, ""},
		"a long number keeps its digits":  {`{"id_claim_path":"id"}`, `{"id":9007199254740993123}`, sdk.PrincipalRef{ID: "9007199254740993123"}, ""},
		"a uuid":                          {`{"id_claim_path":"id"}`, `{"id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}`, sdk.PrincipalRef{ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, ""},
		"only the id is wanted":           {`{"id_claim_path":"sub"}`, `{"sub":"7","preferred_username":"root"}`, sdk.PrincipalRef{ID: "7"}, ""},
		"only the name is there":          {both, `{"polaris":{"principal_name":"root"}}`, sdk.PrincipalRef{}, "claim_missing"},
		"the id is null":                  {both, `{"polaris":{"principal_id":null,"principal_name":"root"}}`, sdk.PrincipalRef{}, "claim_missing"},
		"only the id is there":            {both, `{"polaris":{"principal_id":7}}`, sdk.PrincipalRef{}, "claim_missing"},
		"only the id is there, name null": {both, `{"polaris":{"principal_id":7,"principal_name":null}}`, sdk.PrincipalRef{}, "claim_missing"},
		"neither is there":                {both, `{"polaris":{}}`, sdk.PrincipalRef{}, "claim_missing"},
		"no claims at all (opaque)":       {both, ``, sdk.PrincipalRef{}, "claim_missing"},
		"a path through a string":         {both, `{"polaris":"x"}`, sdk.PrincipalRef{}, "claim_missing"},
		"a fraction":                      {`{"id_claim_path":"id"}`, `{"id":1.0}`, sdk.PrincipalRef{}, "claim_invalid"},
		"an exponent":                     {`{"id_claim_path":"id"}`, `{"id":1e3}`, sdk.PrincipalRef{}, "claim_invalid"},
		"a boolean":                       {`{"id_claim_path":"id"}`, `{"id":true}`, sdk.PrincipalRef{}, "claim_invalid"},
		"an object":                       {`{"id_claim_path":"id"}`, `{"id":{}}`, sdk.PrincipalRef{}, "claim_invalid"},
		"a list":                          {`{"id_claim_path":"id"}`, `{"id":["a"]}`, sdk.PrincipalRef{}, "claim_invalid"},
		"an empty string":                 {`{"id_claim_path":"id"}`, `{"id":""}`, sdk.PrincipalRef{}, "claim_invalid"},
		"a very long string":              {`{"id_claim_path":"id"}`, `{"id":"` + strings.Repeat("x", 2000) + `"}`, sdk.PrincipalRef{}, "claim_invalid"},
		"one good, one of a wrong kind":   {both, `{"polaris":{"principal_id":[],"principal_name":"root"}}`, sdk.PrincipalRef{}, "claim_invalid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := build(t, tt.settings)
			got, err := m.MapPrincipal(t.Context(), sdk.Identity{Claims: sdk.NewClaims([]byte(tt.claims))})
			if d := sdk.AsDenial(err); tt.reason != "" && (d == nil || d.Reason != tt.reason) || tt.reason == "" && err != nil {
				t.Fatalf("error %v, want reason %q", err, tt.reason)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		`{}`:                             "/id_claim_path: id_claim_path, name_claim_path or both",
		`{"id_claim_path":"a//b"}`:       "empty segment",
		`{"id_claim_path":"a","nam":""}`: `no key "nam"`,
	} {
		_, err := sdk.PrincipalMapperType("default", NewMapper).Build(t.Context(), sdk.Setup{}, []byte(settings))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", settings, err, want)
		}
	}
}

func build(t testing.TB, settings string) *Mapper {
	t.Helper()
	m, err := sdk.PrincipalMapperType("default", NewMapper).Build(t.Context(), sdk.Setup{}, []byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*Mapper)
}

func BenchmarkMapPrincipal(b *testing.B) {
	m := build(b, `{"id_claim_path":"polaris/principal_id","name_claim_path":"polaris/principal_name"}`)
	id := sdk.Identity{Claims: sdk.NewClaims([]byte(`{"polaris":{"principal_name":"root","principal_id":1}}`))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.MapPrincipal(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}
