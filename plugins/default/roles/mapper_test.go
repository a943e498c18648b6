package roles

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func build(settings string) (*Mapper, error) {
	impl, err := sdk.PrincipalRolesMapperType("default", (&Expressions{}).NewMapper).Build(context.Background(), sdk.Setup{}, []byte(settings))
	if err != nil {
		return nil, err
	}
	return impl.(*Mapper), nil
}

func TestMapRoles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings string
		roles    []string
		want     []string
	}{
		"no settings": {`{}`, []string{"PRINCIPAL_ROLE:ALL"}, []string{"PRINCIPAL_ROLE:ALL"}},
		"generic claims: a look-ahead filter, one mapping": {
			`{"filter":"^(?!profile$|email$).*","mapping":[{"regex":"^.*$","replacement":"PRINCIPAL_ROLE:$0"}]}`,
			[]string{"service_admin", "catalog_admin", "profile", "email"},
			[]string{"PRINCIPAL_ROLE:service_admin", "PRINCIPAL_ROLE:catalog_admin"},
		},
		"prefixed roles: escaped underscores": {
			`{"filter":"role\\_.*","mapping":[{"regex":"role\\_(.*)","replacement":"POLARIS\\_ROLE:$1"}]}`,
			[]string{"role_service_admin", "role_catalog_admin", "offline_access"},
			[]string{"POLARIS_ROLE:service_admin", "POLARIS_ROLE:catalog_admin"},
		},
		"a mapping onto itself": {
			`{"filter":"POLARIS_ROLE:.*","mapping":[{"regex":"POLARIS_ROLE:(.*)","replacement":"POLARIS_ROLE:$1"}]}`,
			[]string{"POLARIS_ROLE:a", "b"}, []string{"POLARIS_ROLE:a"},
		},
		"the filter matches as a whole":                {`{"filter":"admin"}`, []string{"admin", "administrator", "an admin"}, []string{"admin"}},
		"the filter's alternatives, longest as well":   {`{"filter":"a|ab"}`, []string{"ab", "a", "abc"}, []string{"ab", "a"}},
		"the same with look-ahead":                     {`{"filter":"(?!x)a|ab"}`, []string{"ab", "a", "abc"}, []string{"ab", "a"}},
		"mappings in sequence":                         {`{"mapping":[{"regex":"a","replacement":"b"},{"regex":"b","replacement":"c"}]}`, []string{"ab"}, []string{"cc"}},
		"a mapping without a match":                    {`{"mapping":[{"regex":"^x","replacement":"y"}]}`, []string{"abc"}, []string{"abc"}},
		"every match":                                  {`{"mapping":[{"regex":"-","replacement":"_"}]}`, []string{"a-b-c"}, []string{"a_b_c"}},
		"every match with look-ahead":                  {`{"mapping":[{"regex":"-(?=[bc])","replacement":"_"}]}`, []string{"a-b-c-d"}, []string{"a_b_c-d"}},
		"an unanchored .* matches once":                {`{"mapping":[{"regex":".*","replacement":"P:$0"}]}`, []string{"abc"}, []string{"P:abc"}},
		"the same with look-ahead ":                    {`{"mapping":[{"regex":"(?!x).*","replacement":"P:$0"}]}`, []string{"abc"}, []string{"P:abc"}},
		"named groups":                                 {`{"mapping":[{"regex":"(?<org>\\w+)/(?<role>\\w+)","replacement":"${role}@${org}"}]}`, []string{"acme/admin"}, []string{"admin@acme"}},
		"named and numbered groups, look-ahead":        {`{"mapping":[{"regex":"(?!x)(?<org>\\w+)/(\\w+)","replacement":"$2@$1"}]}`, []string{"acme/admin"}, []string{"admin@acme"}},
		"a group that takes no part":                   {`{"mapping":[{"regex":"^(x)?(.*)$","replacement":"[$1]$2"}]}`, []string{"abc"}, []string{"[]abc"}},
		"the same with look-ahead  ":                   {`{"mapping":[{"regex":"^(?!q)(x)?(.*)$","replacement":"[$1]$2"}]}`, []string{"abc"}, []string{"[]abc"}},
		"an escaped dollar":                            {`{"mapping":[{"regex":"^","replacement":"\\$"}]}`, []string{"a"}, []string{"$a"}},
		"letters beyond ASCII":                         {`{"mapping":[{"regex":"(?!x)ü(.)","replacement":"u$1"}]}`, []string{"Müller→ü€"}, []string{"Muller→u€"}},
		"duplicates and empty ones":                    {`{"mapping":[{"regex":"[0-9]+","replacement":""}]}`, []string{"a1", "a2", "17", "b"}, []string{"a", "b"}},
		"no roles":                                     {`{"filter":"x"}`, nil, []string{}},
		"a final line end does not slip past a filter": {`{"filter":"^(?!b)a$"}`, []string{"a\n", "a"}, []string{"a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := build(tt.settings)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.MapRoles(t.Context(), sdk.Identity{Roles: tt.roles})
			if err != nil || !slices.Equal(got, tt.want) || got == nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		`{"filter":"("}`: {"/filter"},
		`{"mapping":[{"regex":"a","replacement":"b"},{"regex":"(","replacement":"$9"},{"regex":"(a)","replacement":"$2"}]}`: {"/mapping/1/regex", "/mapping/2/replacement"},
		`{"mapping":[{"regex":"(?!x)a","replacement":"$1"}]}`:                                                               {"/mapping/0/replacement"},
		`{"mapping":[{"regex":"a","replacement":"${b}"}]}`:                                                                  {"/mapping/0/replacement"},
		`{"filter":"` + strings.Repeat("a", 5000) + `","mapping":[{"regex":"a"}]}`:                                          {"/mapping/0/replacement"},
		`{"filter":"` + strings.Repeat("a", 5000) + `"}`:                                                                    {"/filter"},
		`{"mapping":[{"regex":"a","replacement":"` + strings.Repeat("a", 5000) + `"}]}`:                                     {"/mapping/0/replacement"},
	}
	for settings, want := range tests {
		_, err := build(settings)
		var got []string
		for _, p := range sdk.Problems(err) {
			got = append(got, p.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.80s: faults at %q (%v), want %q", settings, got, err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const timeout = "no denial, but a time-out"
	tests := map[string]struct {
		settings string
		roles    []string
		reason   string
	}{
		"too many":               {`{}`, make([]string, maxRoles+1), "role_limit_exceeded"},
		"too long":               {`{}`, []string{strings.Repeat("a", maxRole+1)}, "role_limit_exceeded"},
		"grows":                  {`{"mapping":[{"regex":"","replacement":"aaaaaaaa"}]}`, []string{strings.Repeat("a", 500)}, "role_limit_exceeded"},
		"grows, the other one":   {`{"mapping":[{"regex":"(?!x)","replacement":"aaaaaaaa"}]}`, []string{strings.Repeat("a", 500)}, "role_limit_exceeded"},
		"catastrophic filter":    {`{"filter":"(?!x)(a+)+$"}`, []string{strings.Repeat("a", 60) + "!"}, timeout},
		"catastrophic mapping":   {`{"mapping":[{"regex":"^(?!x)(a+)+$","replacement":"b"}]}`, []string{strings.Repeat("a", 60) + "!"}, timeout},
		"catastrophic, many":     {`{"filter":"(?!x)(a+)+$"}`, slices.Repeat([]string{strings.Repeat("a", 60) + "!"}, maxRoles), timeout},
		"harmless in RE2 anyway": {`{"filter":"(a+)+$"}`, []string{strings.Repeat("a", 60) + "!"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := build(tt.settings)
			if err != nil {
				t.Fatal(err)
			}
			roles, err := m.MapRoles(t.Context(), sdk.Identity{Roles: tt.roles})
			if tt.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || roles != nil || strings.Contains(err.Error(), "aaa") {
				t.Fatalf("%q, %v, want an error that does not repeat the input", roles, err)
			}
			d := sdk.AsDenial(err)
			if tt.reason == timeout && (d != nil || !strings.Contains(err.Error(), "too long to map")) {
				t.Fatalf("%v, want %s", err, timeout)
			}
			if tt.reason != timeout && (d == nil || d.Reason != tt.reason) {
				t.Fatalf("%v, want reason %s", err, tt.reason)
			}
		})
	}
}

func TestMapRolesStopsWithItsContext(t *testing.T) {
	t.Parallel()
	m, err := build(`{}`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = m.MapRoles(ctx, sdk.Identity{Roles: []string{"a"}}); !errors.Is(err, context.Canceled) || sdk.AsDenial(err) != nil {
		t.Fatalf("error %v, want context.Canceled", err)
	}
}

func BenchmarkMapRoles(b *testing.B) {
	for name, s := range map[string]Settings{
		"re2":       {Filter: `role\_.*`, Mappings: []Mapping{{Regex: `role\_(.*)`, Replacement: `POLARIS\_ROLE:$1`}}},
		"lookahead": {Filter: `^(?!profile$|email$).*`, Mappings: []Mapping{{Regex: `^.*$`, Replacement: `PRINCIPAL_ROLE:$0`}}},
	} {
		b.Run(name, func(b *testing.B) {
			raw, err := json.Marshal(s)
			if err != nil {
				b.Fatal(err)
			}
			m, err := build(string(raw))
			if err != nil {
				b.Fatal(err)
			}
			id := sdk.Identity{Roles: []string{"role_service_admin", "role_catalog_admin", "profile", "email"}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.MapRoles(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
