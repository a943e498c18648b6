package plugintest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// people are whom identities are made of.
var people = []string{"alice", "bob"}

// checkMixed: who is mapped at the same time as others is mapped as if alone.
func checkMixed(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	alone := map[string]string{}
	answer := func(who string) (string, error) {
		got, err := i.mapped(ctx, who)
		if d := sdk.AsDenial(err); d != nil {
			return "denied: " + d.Reason, nil
		}
		return got, err
	}
	for _, who := range people {
		if alone[who], err = answer(who); err != nil {
			return errors.Join((&Case{tolerant: true}).judge(err), s.release(ctx, i))
		}
	}
	if err := inOrders(func(n int, subject string) (string, error) { return i.mappedAs(ctx, people[n], subject) }); errors.Is(err, errAfter) {
		return errors.Join(fmt.Errorf("two identities of one subject with different claims: %w", err), s.release(ctx, i))
	}
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() {
			who := people[n%len(people)]
			got, err := answer(who)
			if err == nil && got != alone[who] {
				err = fmt.Errorf("%s is mapped to %s, and to %s while others are mapped, too", who, alone[who], got)
			}
			errs[n] = err
		})
	}
	wg.Wait()
	return errors.Join(distinct(errs), s.release(ctx, i))
}

// authenticate authenticates who is meant; an answer that no honest authenticator gives is a finding.
func (i *Instance) authenticate(ctx context.Context, who sdk.PrincipalRef) (sdk.Principal, error) {
	st := sdk.State{Credential: &sdk.Credential{
		Realm: i.c.Setup.Realm, Source: sdk.SourceExternal, Principal: who, RequestedRoles: []string{i.c.Setup.RolePrefix + "ALL"}, Issuer: i.c.Setup.Issuer, Audience: i.c.Setup.Audience,
	}}
	if err := i.Step(ctx, &st); err != nil {
		return sdk.Principal{}, err
	}
	p := *st.Principal
	switch {
	case p.Realm != i.c.Setup.Realm:
		return p, found("the instance of realm %s answers with a principal of realm %s", excerpt(i.c.Setup.Realm), excerpt(p.Realm))
	case p.ID == "" && p.Name == "":
		return p, found("the principal has neither id nor name")
	case who.ID != "" && p.ID != "" && p.ID != who.ID:
		return p, found("the principal %s was asked for, and %s is answered", excerpt(who.ID), excerpt(p.ID))
	}
	return p, nil
}

// checkRealms: what is known of a principal in one realm is not told in another one.
func checkRealms(ctx context.Context, s *suite, c Case) error {
	id := "plugintest-" + rand.Text() // that nobody has heard of before
	of := func(name string) Case {
		out := c
		out.Setup.Realm = "plugintest-" + name
		out.Setup.Issuer = "https://auth.invalid/realms/" + out.Setup.Realm
		out.Setup.Audience = []string{out.Setup.Issuer}
		out.Principals = []sdk.Principal{{Realm: out.Setup.Realm, ID: id, Name: "plugintest-" + name, Enabled: true, Roles: []string{"role-of-" + name}}}
		return out
	}
	var instances []*Instance
	names := []string{"north", "south"}
	for _, name := range names {
		i, err := s.instance(ctx, of(name))
		if err != nil {
			return err
		}
		instances = append(instances, i)
	}
	var faults []error
	for n := range 2 * len(instances) {
		i, other := instances[n%2], names[(n+1)%2]
		p, err := i.authenticate(ctx, sdk.PrincipalRef{ID: id})
		if err == nil && (p.Name == "plugintest-"+other || slices.Contains(p.Roles, "role-of-"+other)) {
			err = found("the instance of realm %s answers with what realm plugintest-%s knows of the principal", i.c.Setup.Realm, other)
		}
		faults = append(faults, (&Case{tolerant: true}).judge(err))
	}
	return errors.Join(distinct(faults), s.release(ctx, instances[0]), s.release(ctx, instances[1]))
}
