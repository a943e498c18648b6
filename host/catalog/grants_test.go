package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// refusals keeps what a catalog tells of.
type refusals struct {
	mu  sync.Mutex
	all []Refused
}

func (r *refusals) add(_ context.Context, x Refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, x)
}

func (r *refusals) take() []Refused {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.all
	r.all = nil
	return out
}

// A question is answered if the manifest wants it and the operator allows it, and not if either is missing.
func TestGrants(t *testing.T) {
	t.Parallel()
	all := Allowance{Principals: true, AccessKeys: true, SecretStores: []string{"store"}}
	const principals, keys, secrets = "ask", "ask for a key", "resolve other"
	what := map[string]sdk.Want{principals: sdk.WantPrincipals, keys: sdk.WantAccessKeys, secrets: sdk.WantGrantedSecrets}
	subjects := map[string]string{principals: "alice", keys: "RGAK", secrets: "granted/a"}
	for _, tt := range []struct {
		name, typ string
		grants    Grants
		allowed   []string
		why       string // of the refusals
	}{
		{"nothing", "badge", Grants{}, nil, whyForbidden},
		{"what is wanted", "badge", Grants{Wanted: true}, []string{principals, keys, secrets}, ""},
		{"all", "badge", Grants{Allow: []Allowance{all}}, []string{principals, keys, secrets}, ""},
		{"all to one that wants nothing", "modest-badge", Grants{Allow: []Allowance{all}}, nil, whyUnwanted},
		{"what is wanted to one that wants nothing", "modest-badge", Grants{Wanted: true}, nil, whyUnwanted},
		{"principals", "badge", Grants{Allow: []Allowance{{Principals: true}}}, []string{principals}, whyForbidden},
		{"access keys", "badge", Grants{Allow: []Allowance{{AccessKeys: true}}}, []string{keys}, whyForbidden},
		{"secrets", "badge", Grants{Allow: []Allowance{{SecretStores: []string{"other", "store"}}}}, []string{secrets}, whyForbidden},
		{"secrets of another store", "badge", Grants{Allow: []Allowance{{SecretStores: []string{"other"}}}}, nil, whyForbidden},
		{"another type", "badge", Grants{Allow: []Allowance{{Types: []string{"modest-badge"}, Principals: true}}}, nil, whyForbidden},
		{"another realm", "badge", Grants{Allow: []Allowance{{Realms: []string{"r2"}, Principals: true}}}, nil, whyForbidden},
		{"piece by piece", "badge", Grants{Allow: []Allowance{{Types: []string{"badge"}, Realms: []string{"r2", "r1"}, Principals: true}, {AccessKeys: true}}}, []string{principals, keys}, whyForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var told refusals
			s := source(t, "p", "good")
			s.Grants = tt.grants
			w := newWorld(t, func(o *Options) { o.Refused = told.add }, s)
			for do, want := range what {
				h := w.mapperOf(t, tt.typ, do)
				for range 2 { // each is told, and logged once
					got, err := w.mapSubject(t, h, "r1", subjects[do])
					if slices.Contains(tt.allowed, do) {
						if err != nil || got == (sdk.PrincipalRef{}) || len(told.take()) != 0 {
							t.Errorf("%s: %+v %v", do, got, err)
						}
						continue
					}
					if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), sdk.ErrNotAllowed.Error()+" ("+want.String()+"): "+tt.why) {
						t.Errorf("%s: the part was told %v", do, err)
					}
					refused := told.take()
					if len(refused) == 1 && strings.HasPrefix(refused[0].Why, tt.why) {
						refused[0].Why = ""
					}
					if !slices.Equal(refused, []Refused{{Plugin: "p", Part: "principal-mapper(" + tt.typ + ")", What: want, Realm: "r1"}}) {
						t.Errorf("%s: the host was told %+v", do, refused)
					}
				}
				line := `"what":"` + want.String() + `"`
				if n := strings.Count(w.log.String(), line); n != map[bool]int{true: 0, false: 1}[slices.Contains(tt.allowed, do)] {
					t.Errorf("%s: %d lines in the log", do, n)
				}
			}
			if n := len(w.secrets.asked); n > 0 && !slices.Contains(tt.allowed, secrets) {
				t.Errorf("the stores were asked: %v", w.secrets.asked)
			}
			if got, err := w.mapSubject(t, w.mapperOf(t, tt.typ, "resolve", login), "r1", ""); err != nil || got.Name != "operator login" || len(told.take()) > 0 {
				t.Errorf("its own reference: %+v %v", got, err)
			}
		})
	}
}

// What an offer misses is what is warned of.
func TestMissing(t *testing.T) {
	t.Parallel()
	wants := []sdk.Want{sdk.WantPrincipals, sdk.WantAccessKeys, sdk.WantGrantedSecrets}
	for _, tt := range []struct {
		grants  Grants
		missing []sdk.Want
	}{
		{Grants{}, wants},
		{Grants{Wanted: true}, nil},
		{Grants{Allow: []Allowance{{Realms: []string{"r2"}, Principals: true}, {AccessKeys: true}}}, []sdk.Want{sdk.WantPrincipals, sdk.WantGrantedSecrets}},
		{Grants{Allow: []Allowance{{Principals: true, SecretStores: []string{"any"}}}}, []sdk.Want{sdk.WantAccessKeys}},
	} {
		o := Offer{Grants: tt.grants, Offer: rpc.Offer{Type: "badge", Wants: wants}}
		if got := o.Missing("r1"); !slices.Equal(got, tt.missing) {
			t.Errorf("%+v: %v, want %v", tt.grants, got, tt.missing)
		}
	}
}

// A vendor needs no grant for what its call brings along, and gets nothing else by it.
func TestVendorReadsWhatItsCallCarries(t *testing.T) {
	t.Parallel()
	var told refusals
	s := source(t, "p", "good")
	s.Grants = Grants{}
	w := newWorld(t, func(o *Options) { o.Refused = told.add }, s)
	r1, r2, _ := w.vendors(t)
	ask := func(v *Vendor, realm, ref, from string) (string, error) {
		got, err := v.Vend(t.Context(), sdk.VendRequest{Connection: connection(t, realm, realm+ref+from, ref, from, "")})
		return string(got.Properties["found"].Reveal()), err
	}
	if got, err := ask(r1, "r1", granted, ""); err != nil || got != "granted granted/a" {
		t.Fatalf("%q %v", got, err)
	}
	// A reference in a connection is a caller's word: that it is carried grants nothing.
	for realm, v := range map[string]*Vendor{"r1": r1, "r2": r2} {
		ref := map[string]string{"r1": identityKeys, "r2": granted}[realm]
		if got, err := ask(v, realm, ref, ""); err == nil || got != "" || !strings.Contains(err.Error(), "not granted") {
			t.Errorf("what is not granted to %s: %q %v", realm, got, err)
		}
	}
	if len(told.take()) > 0 {
		t.Error("what the stores refuse is no fault of the plugin")
	}
	// A call that carries another reference.
	c := connection(t, "r1", "c", granted, "", "")
	c.Authentication = []byte(strings.Replace(string(c.Authentication), "granted/a", "granted/b", 1))
	h := &hostCalls{p: w.plugins[0], offers: w.plugins[0].manifest.Offers}
	other, _ := sdk.ParseSecretRef(granted)
	caller := rpc.Caller{Instance: r1.inst.bound.Load().id, Realm: "r1", Carried: sdk.SecretRefsIn(c.Authentication)}
	if _, err := h.ResolveSecret(t.Context(), caller, other); !errors.Is(err, sdk.ErrNotAllowed) {
		t.Errorf("what another connection has: %v", err)
	}
	if refused := told.take(); len(refused) != 1 || refused[0].Why != whyUnwanted {
		t.Errorf("%+v", refused)
	}
}
