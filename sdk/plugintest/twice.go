package plugintest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// twice asks each question of a stage twice, the second time from another peer, and notes where the answers differ. It is safe
// for concurrent use.
type twice struct {
	mu     sync.Mutex
	asked  int
	differ error
}

// run is a step of a case's call. What counts for the call is the first answer.
func (t *twice) run(st *sdk.State, step func(*sdk.State) error) error {
	again := *st
	if st.Request != nil {
		r := *st.Request
		r.Peer = "198.51.100.7:4711"
		again.Request = &r
	}
	err := step(st)
	err2 := step(&again)
	first, ok := outcome(st, err)
	second, ok2 := outcome(&again, err2)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !ok || !ok2: // that it cannot tell says nothing
		return err
	case st.Cache.NoStore || again.Cache.NoStore: // it says itself that this is not to be remembered
		return err
	}
	t.asked++
	if first.reason != second.reason {
		t.differ = fmt.Errorf("the first answer is %s and the second one %s", first.reason, second.reason)
	} else if at := differing(first.state, second.state); at != "" {
		t.differ = fmt.Errorf("the two answers are not the same: they differ in %s", at)
	}
	return err
}

// yes is the reason of an answer that is no denial.
const yes = "a yes"

// said is what a stage made of a question.
type said struct {
	reason string
	state  sdk.State
	text   string // what else it is, where no state is made
}

// outcome gives what can be compared of what a stage made, and whether it made anything.
func outcome(st *sdk.State, err error) (said, bool) {
	d := sdk.AsDenial(err)
	switch {
	case d != nil:
		return said{reason: "denied for " + d.Reason}, true
	case err != nil:
		return said{}, false
	}
	s := *st
	s.Request, s.Cache = nil, sdk.CacheHint{}
	return said{reason: yes, state: s}, true
}

// differing names the first field in which what two stages made is not the same; empty: there is none.
func differing(a, b sdk.State) string {
	return differingIn("", reflect.ValueOf(a), reflect.ValueOf(b))
}

// differingIn compares the fields of two structs, and of those that they point to.
func differingIn(path string, a, b reflect.Value) string {
	for n := range a.NumField() {
		name, x, y := path+a.Type().Field(n).Name, a.Field(n), b.Field(n)
		if x.Kind() == reflect.Pointer && x.Type() != reflect.TypeFor[*sdk.Claims]() && !x.IsNil() && !y.IsNil() {
			if at := differingIn(name+".", x.Elem(), y.Elem()); at != "" {
				return at
			}
		} else if !same(name, x.Interface(), y.Interface()) {
			return name
		}
	}
	return ""
}

// same compares two values of a field by what they mean: the order of roles and of audiences, and how claims are written, are none
// of it, and a part may count from the moment when something expires or was authenticated.
func same(name string, a, b any) bool {
	switch x := a.(type) {
	case *sdk.Claims:
		return reflect.DeepEqual(x.Map(), b.(*sdk.Claims).Map())
	case []string:
		return slices.Equal(set(x), set(b.([]string)))
	case time.Time:
		d := b.(time.Time).Sub(x)
		return d == 0 || d > -time.Minute && d < time.Minute && !strings.HasSuffix(name, ".IssuedAt")
	}
	return reflect.DeepEqual(a, b)
}

func set(of []string) []string { return slices.Compact(slices.Sorted(slices.Values(of))) }

// isCacheable says whether a case is of a stage whose answers may be remembered without a hint.
func isCacheable(s *suite, c Case) bool {
	o, _ := s.offer(c)
	return o.Cacheable
}

// checkTwice: what may be remembered is what would be answered again.
func checkTwice(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	i.twice = &twice{}
	if err := c.judge(c.Call(ctx, i)); err != nil {
		return errors.Join(err, s.release(ctx, i))
	}
	if err := s.release(ctx, i); err != nil {
		return err
	}
	switch {
	case i.twice.differ != nil:
		return i.twice.differ
	case i.twice.asked == 0:
		return lack("no question was answered that may be remembered; give a case in which one is")
	}
	return nil
}
