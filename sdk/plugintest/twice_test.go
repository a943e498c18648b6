package plugintest

import (
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Two answers are compared by what they mean, and the field in which they differ is named.
func TestDiffering(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	answer := func(change func(*sdk.State)) sdk.State {
		s := sdk.State{
			Identity: &sdk.Identity{
				Subject: "s", Audience: []string{"a", "b"}, Roles: []string{"x", "y"}, Expires: now, Claims: sdk.NewClaims([]byte(`{"a":1,"b":[1,2]}`)),
			},
			Credential: &sdk.Credential{Principal: sdk.PrincipalRef{ID: "1"}, IssuedAt: now, Expires: now},
			Principal:  &sdk.Principal{Attributes: map[string]string{"k": "v"}},
			Active:     []string{"x", "y"},
		}
		change(&s)
		return s
	}
	for name, tt := range map[string]struct {
		change func(*sdk.State)
		want   string
	}{
		"the same":             {func(*sdk.State) {}, ""},
		"roles in other order": {func(s *sdk.State) { s.Identity.Roles = []string{"y", "x", "y"} }, ""},
		"active ones likewise": {func(s *sdk.State) { s.Active = []string{"y", "x"} }, ""},
		"claims likewise":      {func(s *sdk.State) { s.Identity.Claims = sdk.NewClaims([]byte(`{ "b": [1, 2], "a": 1 }`)) }, ""},
		"a moment later":       {func(s *sdk.State) { s.Identity.Expires = now.Add(time.Second) }, ""},
		"a role less":          {func(s *sdk.State) { s.Identity.Roles = []string{"x"} }, "Identity.Roles"},
		"another list":         {func(s *sdk.State) { s.Identity.Claims = sdk.NewClaims([]byte(`{"a":1,"b":[2,1]}`)) }, "Identity.Claims"},
		"no claims":            {func(s *sdk.State) { s.Identity.Claims = nil }, "Identity.Claims"},
		"an hour later":        {func(s *sdk.State) { s.Credential.Expires = now.Add(time.Hour) }, "Credential.Expires"},
		"no expiry":            {func(s *sdk.State) { s.Credential.Expires = time.Time{} }, "Credential.Expires"},
		"issued later":         {func(s *sdk.State) { s.Credential.IssuedAt = now.Add(time.Second) }, "Credential.IssuedAt"},
		"another principal":    {func(s *sdk.State) { s.Credential.Principal.ID = "2" }, "Credential.Principal"},
		"another attribute":    {func(s *sdk.State) { s.Principal.Attributes["k"] = "w" }, "Principal.Attributes"},
		"no principal":         {func(s *sdk.State) { s.Principal = nil }, "Principal"},
		"others active":        {func(s *sdk.State) { s.Active = nil }, "Active"},
	} {
		if got := differing(answer(func(*sdk.State) {}), answer(tt.change)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
