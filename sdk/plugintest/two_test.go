package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// shared is a mapper that keeps in its package what belongs to an instance.
type shared struct {
	settings
	state *sharedState
	flaw  string
}

type sharedState struct {
	mu      sync.Mutex
	current settings
	known   map[string]string // by subject
}

func (m *shared) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	m.state.mu.Lock()
	defer m.state.mu.Unlock()
	claim := m.Claim
	if m.flaw == "settings" {
		claim = m.state.current.Claim
	}
	if name := m.state.known[id.Subject]; name != "" && m.flaw == "answers" {
		return sdk.PrincipalRef{Name: name}, nil
	}
	v, ok := id.Claims.String(claim)
	if !ok {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "no claim %q", claim)
	}
	m.state.known[id.Subject] = v
	return sdk.PrincipalRef{Name: v}, nil
}

func sharers(flaw string) []sdk.Implementation {
	state := &sharedState{known: map[string]string{}}
	return []sdk.Implementation{sdk.PrincipalMapperType("badge", func(_ context.Context, _ sdk.Setup, s settings) (*shared, error) {
		state.mu.Lock()
		defer state.mu.Unlock()
		if s.Claim != "badge" && s.Claim != "other" && flaw == "picky" {
			return nil, errors.New("no such claim")
		}
		state.current = s
		return &shared{settings: s, state: state, flaw: flaw}, nil
	})}
}

// An instance answers as if there were no other. What a part keeps in its package is found, with a case's own call and without.
func TestTwoInstances(t *testing.T) {
	t.Parallel()
	own := Case{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: `{"claim":"badge"}`}
	own.complete(offerOf(sharers("")))
	elsewhere := badgeCase()
	elsewhere.Elsewhere = `{"claim":"other"}`
	for name, tt := range map[string]struct {
		flaw  string
		c     Case
		check func(context.Context, *suite, Case) error
		want  string
	}{
		"good":                          {"", badgeCase(), checkTwo, ""},
		"good, without a call":          {"", own, checkTwo, ""},
		"its settings":                  {"settings", badgeCase(), checkTwo, "after another instance with other settings was configured: "},
		"its settings, without a call":  {"settings", own, checkTwo, "after another instance with other settings was configured, the first one answers otherwise: it differs in the answer"},
		"its answers":                   {"answers", own, checkTwo, "of two instances with different settings each answers for itself only"},
		"its answers, in one":           {"answers", own, checkMixed, "two identities of one subject with different claims"},
		"good in one":                   {"", own, checkMixed, ""},
		"takes no settings of ours":     {"picky", badgeCase(), checkTwo, "give other settings as elsewhere"},
		"takes those that it was given": {"picky", elsewhere, checkTwo, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, sharers(tt.flaw), tt.check, tt.c, tt.want)
		})
	}
}

// Other settings are of the schema's types, and name no other place.
func TestVariants(t *testing.T) {
	t.Parallel()
	type all struct {
		Name  string        `json:"name" default:"n"`
		Count int           `json:"count" default:"3"`
		On    bool          `json:"on" default:"true"`
		Wait  sdk.Duration  `json:"wait" default:"1s"`
		Dir   string        `json:"dir,omitempty"`
		URL   string        `json:"token_url,omitempty"`
		Key   sdk.SecretRef `json:"key,omitempty"`
	}
	impls := []sdk.Implementation{sdk.PrincipalMapperType("all", func(context.Context, sdk.Setup, all) (*badge, error) { return &badge{}, nil })}
	variants := startSuite(t, impls).variants(Case{Kind: sdk.KindPrincipalMapper, Type: "all", Settings: `{"on":false}`})
	var got []string
	for _, v := range variants {
		var m map[string]any
		if err := json.Unmarshal([]byte(v.Settings), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, v.Settings)
	}
	want := `{"on":true} {"count":4,"on":false} {"name":"nx","on":false} {"on":false,"wait":"7m"}`
	if text := strings.Join(got, " "); text != want {
		t.Errorf("%s, want %s", text, want)
	}
}
