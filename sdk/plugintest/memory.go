package plugintest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/realmgate/realmgate/sdk"
)

// asksDirectory says whether a case is of a stage that asks for principals or access keys.
func asksDirectory(s *suite, c Case) bool {
	o, _ := s.offer(c)
	return slices.Contains(stages, c.Kind) && (slices.Contains(o.Wants, sdk.WantPrincipals) || slices.Contains(o.Wants, sdk.WantAccessKeys))
}

// checkMemory: what is remembered of the directory is of one epoch.
func checkMemory(ctx context.Context, s *suite, c Case) error {
	if c.Kind == sdk.KindAuthenticator {
		if err := s.checkPrincipal(ctx, c); err != nil {
			return err
		}
	}
	return s.checkGone(ctx, c)
}

// checkPrincipal has a principal change, and go.
func (s *suite) checkPrincipal(ctx context.Context, c Case) error {
	id := "plugintest-" + rand.Text() // that nobody has heard of before
	as := func(name string) []sdk.Principal {
		return []sdk.Principal{{Realm: c.Setup.Realm, ID: id, Name: "plugintest-" + name, Enabled: true, Roles: []string{"role-" + name}}}
	}
	known := func(p sdk.Principal, name string) bool {
		return p.Name == "plugintest-"+name || slices.Contains(p.Roles, "role-"+name)
	}
	c.Principals = as("before")
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = s.release(ctx, i) }()
	tolerant := &Case{tolerant: true}
	ask := func() (sdk.Principal, error) { return i.authenticate(ctx, sdk.PrincipalRef{ID: id}) }
	var p sdk.Principal
	for range 2 { // the second answer may be remembered
		if p, err = ask(); err != nil {
			return tolerant.judge(err)
		}
	}
	if !known(p, "before") { // it has its own directory
		return nil
	}
	s.host.change(i.id, as("after"), nil)
	if p, err = ask(); err == nil && known(p, "before") {
		return errors.New("the epoch of the realm has moved since a principal was changed, and the answer is what the directory said before")
	}
	if err := tolerant.judge(err); err != nil {
		return err
	}
	s.host.change(i.id, nil, nil)
	if _, err = ask(); err == nil {
		return errors.New("the epoch of the realm has moved since a principal was removed, and the answer is a yes")
	}
	return tolerant.judge(err)
}

// checkGone asks the case's questions again when its directory is empty. What nobody would be answered who asks for the first time
// must not be answered then.
func (s *suite) checkGone(ctx context.Context, c Case) error {
	if len(c.Principals)+len(c.AccessKeys) == 0 {
		return nil
	}
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = s.release(ctx, i) }()
	_, asked, err := i.heardIn(ctx)
	if err != nil || len(asked) == 0 {
		return err
	}
	s.host.change(i.id, nil, nil)
	c.Call, c.tolerant = repeat(asked), true
	i.c = &c
	later, err := i.answers(ctx)
	if err != nil {
		return err
	}
	x, err := s.again(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	empty := c
	empty.Principals, empty.AccessKeys = nil, nil
	first, err := x.instance(ctx, empty)
	if err != nil { // it needs them to come to be
		return nil //nolint:nilerr // it says nothing of what is remembered
	}
	never, err := first.answers(ctx)
	if err != nil {
		return err
	}
	for n := range min(len(later), len(never)) {
		if later[n].reason == yes && never[n].reason != yes {
			return errors.New("the epoch of the realm has moved since all principals and access keys were removed, and the answer is still a yes")
		}
	}
	return nil
}
