package directorytest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// testConcurrency: many change and ask at the same time, on two nodes; whoever is told of a change sees it, no secret
// version is given out twice, and every change is counted.
func testConcurrency(t *testing.T, s *store) {
	ctx := t.Context()
	const workers, rounds = 12, 6
	nodes := []*directory.Directory{s.Directory, open(t, s.cfg)}
	s.role(t, "r", "dev")
	_, _, err := s.CreatePrincipal(ctx, "r", directory.NewPrincipal{ID: "shared", Name: "shared"})
	ok(t, err)
	var mu sync.Mutex
	versions := map[string]bool{}
	note := func(c directory.ClientSecret) {
		mu.Lock()
		defer mu.Unlock()
		if versions[c.Version] {
			t.Errorf("version %s was given out twice", c.Version)
		}
		versions[c.Version] = true
	}
	var wg sync.WaitGroup
	for w := range workers {
		d := nodes[w%len(nodes)]
		wg.Go(func() {
			for i := range rounds {
				name := fmt.Sprintf("p%d-%d", w, i)
				p, c, err := d.CreatePrincipal(ctx, "r", directory.NewPrincipal{Name: name, Roles: []string{"dev"}})
				if err != nil {
					t.Error(err)
					return
				}
				note(c)
				got, err := d.FindPrincipal(ctx, "r", sdk.PrincipalRef{ID: p.ID, Name: name})
				if err != nil || len(got.Roles) != 1 {
					t.Errorf("created, then %+v %v", got, err)
				}
				for range 2 {
					c, err := d.RotateSecret(ctx, "r", "shared")
					if err != nil {
						t.Error(err)
						return
					}
					note(c)
				}
				if err := d.CheckStanding(ctx, token(p, c.Version), found(p)); err != nil {
					t.Error(err)
				}
				if err := d.RevokeToken(ctx, "r", "https://gate/r", "t1-"+name, s.clock.Now().Add(time.Hour)); err != nil {
					t.Error(err)
				}
				if err := d.DeletePrincipal(ctx, "r", name); err != nil {
					t.Error(err)
				}
				if _, err := d.FindPrincipal(ctx, "r", sdk.PrincipalRef{Name: name}); sdk.AsDenial(err) == nil {
					t.Errorf("deleted, then %v", err)
				}
			}
		})
	}
	wg.Wait()
	ok(t, s.Refresh(ctx))
	if got, least := s.Epoch("r"), uint64(3+workers/len(nodes)*rounds*5); got < least {
		t.Errorf("epoch %d, after at least %d changes of this node", got, least)
	}
	shared, err := s.GetPrincipal(ctx, "r", "shared")
	ok(t, err)
	if want := int64(1 + workers*rounds*2); shared.Version != want || len(shared.SecretVersions) != 2 {
		t.Errorf("%+v, want version %d", shared, want)
	}
}
