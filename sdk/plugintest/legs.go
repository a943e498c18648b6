package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// orders are how stages follow one another in a decision.
var orders = [][]sdk.Kind{
	{sdk.KindIdentityProvider, sdk.KindPrincipalMapper, sdk.KindPrincipalRolesMapper, sdk.KindAuthenticator, sdk.KindActiveRolesProvider},
	{sdk.KindTokenBroker, sdk.KindAuthenticator, sdk.KindActiveRolesProvider},
}

// chains gives the stages that a daemon asks a plugin with these cases for in one leg: as long as they can be, by the first case of
// each kind that somebody gave settings, or that needs none.
func chains(s *suite) (out [][]Case) {
	if s.manifest.Session != rpc.SessionLegs {
		return nil
	}
	for _, order := range orders {
		var chain []Case
		for _, k := range append(slices.Clone(order), 0) {
			at := slices.IndexFunc(s.cases, func(c Case) bool { return c.Kind == k })
			if at >= 0 {
				chain = append(chain, s.cases[at])
				continue
			}
			if len(chain) > 1 {
				out = append(out, chain)
			}
			chain = nil
		}
	}
	return out
}

// checkLegs: stages in one leg make what they make one by one.
func checkLegs(ctx context.Context, s *suite, _ Case) error {
	var faults []error
	for _, chain := range chains(s) {
		if err := s.checkLeg(ctx, chain); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// checkLeg runs one chain in both ways on what the first case's own call asks.
func (s *suite) checkLeg(ctx context.Context, chain []Case) error {
	realm, name := "plugintest", ""
	var found *sdk.PrincipalRef // by a mapper elsewhere, where the chain begins behind it
	if chain[0].Kind == sdk.KindPrincipalRolesMapper {
		found = &sdk.PrincipalRef{Name: "plugintest-alice"}
	}
	var steps []rpc.Step
	var asked []sdk.State
	for n, c := range chain {
		i, err := s.instance(ctx, c)
		if err != nil {
			return err
		}
		defer func() { _ = s.release(ctx, i) }()
		if n == 0 {
			var mu sync.Mutex // a call may ask many things at the same time
			i.asked = func(st sdk.State) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, st)
			}
			_ = c.Call(ctx, i) // what becomes of it is another check's question
		} else {
			name += ", "
		}
		if found != nil && c.Kind == sdk.KindAuthenticator && len(c.Principals) > 0 {
			found.Name = c.Principals[0].Name
		}
		if c.Kind == sdk.KindAuthenticator || c.Kind == sdk.KindTokenBroker {
			realm = c.Setup.Realm
		}
		name += c.Kind.String() + " " + c.Type
		steps = append(steps, rpc.Step{Kind: c.Kind, Instance: i.id})
	}
	read := has(chain, sdk.KindPrincipalMapper) && has(chain, sdk.KindPrincipalRolesMapper)
	for _, st := range asked {
		apart, together, again := inRealm(st, realm, found), inRealm(st, realm, found), inRealm(st, realm, found)
		err := s.oneByOne(ctx, realm, steps, &apart)
		differ := differs(&apart, err, &together, s.process.Run(ctx, realm, steps, &together), read)
		// Of what is answered otherwise each time (a token that is taken once) nothing can be said.
		if differ != "" && differs(&apart, err, &again, s.oneByOne(ctx, realm, steps, &again), read) == "" {
			return fmt.Errorf("%s: %s", name, differ)
		}
	}
	return nil
}

// oneByOne runs each step as a leg of its own.
func (s *suite) oneByOne(ctx context.Context, realm string, steps []rpc.Step, st *sdk.State) error {
	for n := range steps {
		if err := s.process.Run(ctx, realm, steps[n:n+1], st); err != nil {
			return err
		}
	}
	return nil
}

// inRealm gives a copy of what a decision begins with, in a realm; with ref where a principal mapper has spoken.
func inRealm(st sdk.State, realm string, ref *sdk.PrincipalRef) sdk.State {
	r := sdk.Request{}
	if st.Request != nil {
		r = *st.Request
	}
	r.Realm = realm
	return sdk.State{Request: &r, Identity: st.Identity, Ref: ref, Credential: st.Credential, Principal: st.Principal}
}

func has(chain []Case, k sdk.Kind) bool {
	return slices.ContainsFunc(chain, func(c Case) bool { return c.Kind == k })
}

// differs says in what the outcomes of stages that ran one by one and in one leg are not the same; empty: they are. read says that both
// mappers are among them: then nobody reads claims and roles of the identity any more.
func differs(apart *sdk.State, apartErr error, together *sdk.State, togetherErr error, read bool) string {
	one, ok := outcome(apart, apartErr)
	other, ok2 := outcome(together, togetherErr)
	switch {
	case !ok && !ok2:
		return ""
	case !ok:
		return fmt.Sprintf("one by one they fail (%v), in one leg the answer is %s", apartErr, other.reason)
	case !ok2:
		return fmt.Sprintf("one by one the answer is %s, in one leg they fail: %v", one.reason, togetherErr)
	case one.reason != other.reason:
		return fmt.Sprintf("one by one the answer is %s, in one leg %s", one.reason, other.reason)
	}
	for _, st := range []*sdk.State{&one.state, &other.state} {
		if id := st.Identity; id != nil && read {
			bare := *id
			bare.Claims, bare.Roles = nil, nil
			st.Identity = &bare
		}
	}
	if at := differing(one.state, other.state); at != "" {
		return "one by one and in one leg they do not make the same: it differs in " + at
	}
	return ""
}
