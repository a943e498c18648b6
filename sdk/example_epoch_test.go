package sdk_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// people is a mapper that remembers what its provider told it of a badge.
type people struct {
	ask func(realm, badge string) string

	mu    sync.Mutex
	known map[bearer]answer
}

// bearer is by whom a mapper remembers: it serves all realms of a tenant.
type bearer struct{ realm, badge string }

// answer is one of the provider's. The epoch is no part of the key: an answer takes the place of a former epoch's.
type answer struct {
	epoch uint64
	name  string
}

const mostPeople = 10_000

func (p *people) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	badge, ok := id.Claims.String("badge")
	if !ok || badge == "" {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no badge")
	}
	by, epoch := bearer{sdk.Realm(ctx), badge}, sdk.Epoch(ctx)
	p.mu.Lock()
	a, found := p.known[by]
	p.mu.Unlock()
	if !found || epoch == 0 || a.epoch != epoch {
		a = answer{epoch, p.ask(by.realm, badge)}
		p.keep(by, a)
	}
	return sdk.PrincipalRef{Name: a.name}, nil
}

func (p *people) keep(by bearer, a answer) {
	if a.epoch == 0 { // nothing may be remembered
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= mostPeople {
		clear(p.known)
	}
	p.known[by] = a
}

// during is a call in a realm at an epoch; the serving side has such ones.
type during struct {
	sdk.UnimplementedCall
	realm string
	epoch uint64
}

func (d during) Realm() string { return d.realm }
func (d during) Epoch() uint64 { return d.epoch }

// A part that remembers what it asked others keeps it by realm, with the epoch.
func ExampleEpoch() {
	part := &people{known: map[bearer]answer{}, ask: func(realm, badge string) string {
		fmt.Println("asked for", badge, "in", realm)
		return realm + "-" + badge
	}}
	for _, call := range []during{
		{realm: "east", epoch: 7}, {realm: "east", epoch: 7}, // remembered
		{realm: "west", epoch: 7}, // another realm's number means nothing
		{realm: "east", epoch: 8}, // something of the realm has changed
		{realm: "east", epoch: 0}, // nothing may be remembered
	} {
		ctx := sdk.WithCall(context.Background(), call)
		ref, err := part.MapPrincipal(ctx, sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"3"}`))})
		fmt.Println(ref.Name, err)
	}
	fmt.Println("kept:", len(part.known))
	// Output:
	// asked for 3 in east
	// east-3 <nil>
	// east-3 <nil>
	// asked for 3 in west
	// west-3 <nil>
	// asked for 3 in east
	// east-3 <nil>
	// asked for 3 in east
	// east-3 <nil>
	// kept: 2
}

func ExampleRealm() { ExampleEpoch() }
