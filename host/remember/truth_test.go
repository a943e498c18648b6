package remember

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// truth is a world in which the right answer to a request is a function of all that may be in it, and of the state of its realm.
type truth struct {
	*world
	state    map[string]int // of a realm; whoever changes it moves its epoch
	built    int            // generations
	sections [truthGenerations]*Section
	plans    [truthGenerations]map[string]*pipeline.Plan // by realm
}

// verifier answers what is true, for one generation: who else asks, or when, makes another answer.
type verifier struct {
	t          *truth
	generation int
}

func (v verifier) Run(_ context.Context, s *sdk.State) error {
	r := s.Request
	what := fmt.Sprintf("%d/%s/%d/%s/%s/%x", v.generation, r.Realm, v.t.state[r.Realm], r.Scheme, r.Token, r.PeerCertificate)
	switch len(r.Token) % 4 {
	case 1:
		return sdk.Deny("denied", "%s", what)
	case 2:
		return fmt.Errorf("down: %s", what)
	case 3:
		s.Cache.NoStore = len(r.Token) > 4
	}
	s.Credential = &sdk.Credential{Realm: r.Realm, Source: sdk.SourceExternal, TokenID: what + "/id"}
	s.Principal = &sdk.Principal{Realm: r.Realm, ID: what, Name: "n", Enabled: true, Roles: []string{what, "b"}, Attributes: map[string]string{"what": what}}
	s.Active = []string{what}
	return nil
}

const (
	truthRealms      = 2
	truthGenerations = 2
)

func newTruth(t testing.TB) *truth {
	x := &truth{world: newWorld(), state: map[string]int{}}
	for g := range truthGenerations {
		x.build(t, g)
	}
	return x
}

// build puts a new generation in a place.
func (x *truth) build(t testing.TB, at int) {
	x.built++
	s, plans := x.Section(), map[string]*pipeline.Plan{}
	for r := range truthRealms {
		realm := fmt.Sprint("r", r)
		plans[realm] = x.plan(t, realm, verifier{x, x.built}, s, func(c *pipeline.Config) { c.MaxDenied = time.Minute })
	}
	x.sections[at], x.plans[at] = s, plans
}

// play does what a string of bytes says, and compares each answer with that of the plan alone.
func (x *truth) play(t *testing.T, script []byte) {
	next := func(n int) int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b) % n
	}
	tokens := []string{"a", "b", "aa", "aaa", "aaaa", "aaab", "aaaaaaa"}
	for len(script) > 0 {
		realm := fmt.Sprint("r", next(truthRealms))
		switch what := next(120); what {
		case 0: // a change, as the directory makes it
			x.state[realm]++
			x.epochs.set(realm, uint64(x.state[realm])+1)
			continue
		case 1: // the directory cannot tell, then can again
			x.epochs.set(realm, 0)
		case 2:
			x.pass(time.Duration(next(40)-10)*time.Second, time.Duration(next(40))*time.Second)
			continue
		case 3:
			g := next(truthGenerations)
			if next(2) == 0 { // requests that began with it are still under way
				x.sections[g].Close()
				continue
			}
			x.build(t, g)
			continue
		}
		p := x.plans[next(truthGenerations)][realm]
		r := sdk.Request{Scheme: []string{"bearer", "dpop"}[next(2)], Token: tokens[next(len(tokens))], Peer: "192.0.2.1:1"}
		if c := next(10); c > 7 {
			r.PeerCertificate = []byte{byte(c)}
		}
		want := p.DecideAnew(t.Context(), r)
		got := p.Decide(t.Context(), r)
		got.CacheFor, want.CacheFor = 0, 0
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v is answered\n%+v\nand should be\n%+v", r, got, want)
		}
		if x.epochs.Epoch(realm) == 0 {
			x.epochs.set(realm, uint64(x.state[realm])+1)
		}
	}
}

// Whatever comes in whichever order, what is remembered is what would have been said without.
func FuzzTruth(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		script := make([]byte, 1500)
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1<<14 {
			return
		}
		newTruth(t).play(t, script)
	})
}

// The property above would say little if nothing were remembered.
func TestTruthIsRemembered(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	script := make([]byte, 20_000)
	for i := range script {
		script[i] = byte(rnd.Uint32())
	}
	x := newTruth(t)
	x.play(t, script)
	s := x.Stats()
	if s.Memory < 500 || s.Plan == 0 || s.Passed == 0 {
		t.Errorf("%+v", s)
	}
}
