package plugintest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"

	"github.com/realmgate/realmgate/sdk"
)

// newSubject gives one that nobody has heard of before. All have one shape, so that no pattern tells them apart.
func newSubject() string {
	n, _ := rand.Int(rand.Reader, big.NewInt(900_000_000)) // never fails
	return fmt.Sprintf("plugintest-%d", n.Int64()+100_000_000)
}

// maxVariants is how many other settings are tried beside a case's.
const maxVariants = 8

// places are keys whose other values could make an instance write to, or call, what nobody named.
var places = regexp.MustCompile(`file|dir|folder|socket|address|url|uri|endpoint|host|server|bucket|store|issuer|region`)

// variants gives other settings, each with another value of one key: of those that the case has first. With Elsewhere it is what
// the case says. Settings that are nothing but places and secrets have none.
func (s *suite) variants(c Case) (out []Case) {
	other := func(settings string) {
		v := c
		v.Settings, v.tolerant = settings, true
		out = append(out, v)
	}
	if c.Elsewhere != "" {
		other(c.Elsewhere)
		return out
	}
	o, _ := s.offer(c)
	var sc schema
	given, err := c.object()
	if json.Unmarshal(o.SettingsSchema, &sc) != nil || err != nil {
		return nil
	}
	keys := slices.Sorted(maps.Keys(sc.Properties))
	slices.SortStableFunc(keys, func(a, b string) int {
		_, hasA := given[a]
		_, hasB := given[b]
		switch {
		case hasA == hasB:
			return 0
		case hasA:
			return -1
		}
		return 1
	})
	for _, key := range keys {
		if places.MatchString(key) || len(out) == maxVariants {
			continue
		}
		if value := sc.Properties[key].differing(given[key]); value != nil {
			if settings, err := c.with(key, value); err == nil {
				other(settings)
			}
		}
	}
	return out
}

// differing gives a value of the schema's type that is not this one; nil where none is known.
func (s *schema) differing(now json.RawMessage) json.RawMessage {
	if now == nil && s.Default != nil {
		now, _ = json.Marshal(s.Default) // it was JSON
	}
	var v any
	switch {
	case s.Format == "realmgate-secret-ref":
		return nil
	case s.Format == "duration":
		v = "7m"
	case s.Type == "string":
		var text string
		_ = json.Unmarshal(now, &text) // none is empty
		v = text + "x"
	case s.Type == "integer" || s.Type == "number":
		var n float64
		_ = json.Unmarshal(now, &n)
		v = n + 1
	case s.Type == "boolean":
		var yes bool
		_ = json.Unmarshal(now, &yes)
		v = !yes
	default:
		return nil
	}
	out, _ := json.Marshal(v)
	return out
}

// checkTwo: two instances do not depend on each other, whether they have the same settings or other ones.
func checkTwo(ctx context.Context, s *suite, c Case) error {
	one, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	two, err := s.instance(ctx, c)
	if err != nil {
		return fmt.Errorf("a second instance: %w", err)
	}
	if err := errors.Join(c.works(ctx, two), c.works(ctx, one), s.release(ctx, two)); err != nil {
		return err
	}
	_, asked, err := one.heardIn(ctx)
	if err != nil {
		return fmt.Errorf("after the other instance was released: %w", err)
	}
	x := beside{s: s, c: c, one: one}
	if len(asked) > 0 { // in one order, whatever the order of the case's own call
		x.c.Call, x.c.tolerant = repeat(asked), true
		one.c = &x.c
	}
	if x.first, err = one.answers(ctx); err != nil {
		return err
	}
	again, err := one.answers(ctx)
	if err != nil {
		return err
	}
	x.steady = apart(x.first, again, true) == ""
	x.own = func() error { return c.works(ctx, one) }
	variants := s.variants(c)
	taken := false
	for _, v := range variants {
		if v.Call = probes[c.Kind]; len(asked) > 0 {
			v.Call = repeat(asked)
		}
		had, err := x.check(ctx, v)
		if err != nil {
			return errors.Join(err, s.release(ctx, one))
		}
		taken = taken || had
	}
	if len(variants) > 0 && !taken {
		return errors.Join(unseen("two instances with the same settings do not disturb each other; give other settings as elsewhere (Elsewhere), since those that the suite made of the schema are not taken"), s.release(ctx, one))
	}
	return s.release(ctx, one)
}

// beside is an instance that others stand beside.
type beside struct {
	s      *suite
	c      Case // which asks the case's questions
	one    *Instance
	own    func() error // the case's own call
	first  []said       // what it answers alone
	steady bool         // it answers the same each time
}

// check has an instance with other settings beside it. False: those are not taken.
func (x *beside) check(ctx context.Context, v Case) (taken bool, err error) {
	two, ds, err := x.s.configure(ctx, v, v.settings())
	if err != nil || faults(ds) != "" {
		return false, err
	}
	defer func() { err = errors.Join(err, x.s.release(ctx, two)) }()
	if err := x.unchanged(ctx, "was configured"); err != nil {
		return true, err
	}
	others, err := two.answers(ctx)
	if fault := v.judge(err); fault != nil {
		return true, fmt.Errorf("with other settings: %w", fault)
	}
	again, _ := two.answers(ctx)
	if err := x.unchanged(ctx, "was called"); err != nil {
		return true, err
	}
	if v.Kind == sdk.KindPrincipalMapper || v.Kind == sdk.KindPrincipalRolesMapper {
		both := []*Instance{x.one, two}
		order := inOrders(func(n int, subject string) (string, error) { return both[n].mappedAs(ctx, people[n], subject) })
		if errors.Is(order, errAfter) {
			return true, fmt.Errorf("of two instances with different settings each answers for itself only: %w", order)
		}
	}
	if !x.steady || apart(others, again, true) != "" { // it shows in what is the same each time
		return true, nil
	}
	third, _ := two.answers(ctx)
	if at := apart(others, third, true); at != "" && x.s.confirms(ctx, v, others) {
		return true, fmt.Errorf("an instance with other settings answers otherwise after the first one was called: it differs in %s", at)
	}
	return true, x.alone(ctx, v, others)
}

// unchanged says in what the instance answers otherwise than alone.
func (x *beside) unchanged(ctx context.Context, when string) error {
	now, err := x.one.answers(ctx)
	if err = errors.Join(x.own(), err); err != nil {
		return fmt.Errorf("after another instance with other settings %s: %w", when, err)
	}
	if at := apart(x.first, now, x.steady); at != "" && x.s.confirms(ctx, x.c, x.first) {
		return fmt.Errorf("after another instance with other settings %s, the first one answers otherwise: it differs in %s", when, at)
	}
	return nil
}

// confirms says whether a new instance still answers what one answered before. If not, it is the time that changes answers.
func (s *suite) confirms(ctx context.Context, c Case, before []said) bool {
	i, ds, err := s.configure(ctx, c, c.settings())
	if err != nil || faults(ds) != "" {
		return false
	}
	defer func() { _ = s.release(ctx, i) }()
	now, _ := i.answers(ctx)
	return apart(before, now, true) == ""
}

// alone compares what an instance answered beside the first one with what one answers in a process where there is no other.
func (x *beside) alone(ctx context.Context, v Case, others []said) error {
	if x.s.plugin.Kill == nil || v.Kind == sdk.KindTokenBroker { // in this process nothing is forgotten; a key may be the process's
		return nil
	}
	y, err := x.s.again(ctx)
	if err != nil {
		return err
	}
	defer y.end()
	i, ds, err := y.configure(ctx, v, v.settings())
	if err != nil || faults(ds) != "" {
		return err
	}
	now, _ := i.answers(ctx)
	if at := apart(others, now, true); at != "" && x.s.confirms(ctx, v, others) {
		return fmt.Errorf("an instance answers otherwise beside one with other settings than alone in a process: it differs in %s", at)
	}
	return nil
}
