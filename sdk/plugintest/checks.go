package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// callers is how many goroutines call at the same time.
const callers = 64

// endsWithin is how long a plugin may be at work on a call that was given up.
const endsWithin = 5 * time.Second

// checks are run in turn on every case.
var checks = []struct {
	name string
	run  func(context.Context, *suite, Case) error
}{
	{"call", checkCall},
	{"unknown key", checkUnknownKey},
	{"settings that are no object", checkNoObject},
	{"life", checkLife},
	{"wrong kind", checkWrongKind},
	{"concurrency", checkConcurrency},
	{"cancellation", checkCancellation},
	{"deadline", checkDeadline},
	{"two instances", checkTwo},
	{"odd input", checkOdd},
	{"credentials", checkVend},
	{"signatures", checkSign},
	{"written secrets", checkWriter},
	{"whether it can work", checkChecker},
}

func checkCall(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(c.Call(ctx, i), s.release(ctx, i))
}

func (s *suite) release(ctx context.Context, i *Instance) error {
	return s.process.Release(ctx, []uint64{i.id})
}

// checkUnknownKey: a mistyped key is a fault at the key, and the instance does not come to be.
func checkUnknownKey(ctx context.Context, s *suite, c Case) error {
	const key = "key_that_is_not_known"
	settings, err := c.with(key)
	if err != nil {
		return err
	}
	i, ds, err := s.configure(ctx, c, settings)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ds, func(d rpc.Diagnostic) bool { return isFault(d) && d.Path == "/"+key }) {
		return fmt.Errorf("an unknown key gives no fault at /%s, but %+v", key, ds)
	}
	return wantFailure("a call of an instance whose settings were refused", c.Call(ctx, i))
}

func checkNoObject(ctx context.Context, s *suite, c Case) error {
	for _, settings := range []string{`[]`, `null`, `"x"`, `{`, `{} {}`, "\xff"} {
		_, ds, err := s.configure(ctx, c, settings)
		if err != nil {
			return fmt.Errorf("settings %q: %w", settings, err)
		}
		if settings != `null` && !slices.ContainsFunc(ds, isFault) {
			return fmt.Errorf("settings %q are taken", settings)
		}
	}
	return nil
}

// checkLife: releasing is final and may be repeated; an instance that is not there is our mistake, never the caller's.
func checkLife(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	again, err := s.process.Configure(ctx, []rpc.Instance{{ID: i.id, Kind: c.Kind, Type: c.Type, Settings: []byte(c.settings()), Setup: c.Setup}})
	if err == nil && !slices.ContainsFunc(again, isFault) {
		return errors.New("an instance id is taken twice")
	}
	if err := c.Call(ctx, i); err != nil {
		return fmt.Errorf("after its id was refused to another instance: %w", err)
	}
	for range 2 {
		if err := s.release(ctx, i); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	if err := wantFailure("a call of a released instance", c.Call(ctx, i)); err != nil {
		return err
	}
	fresh, err := s.instance(ctx, c)
	if err != nil {
		return fmt.Errorf("configured once more: %w", err)
	}
	return errors.Join(c.Call(ctx, fresh), s.release(ctx, fresh))
}

// checkWrongKind: an instance answers for its own kind only.
func checkWrongKind(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	wrong := Case{Kind: sdk.KindPrincipalMapper}
	if c.Kind == wrong.Kind {
		wrong.Kind = sdk.KindPrincipalRolesMapper
	}
	st := sdk.State{Request: &sdk.Request{}, Identity: &sdk.Identity{}}
	err = (&Instance{process: s.process, id: i.id, c: &wrong}).Step(ctx, &st)
	return errors.Join(wantFailure("a call as another kind", err), s.release(ctx, i))
}

func checkConcurrency(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = c.Call(ctx, i) })
	}
	wg.Wait()
	return errors.Join(append(errs, s.release(ctx, i))...)
}

// checkCancellation: a caller that goes away is told so, the work for it ends, and nobody else notices.
func checkCancellation(ctx context.Context, s *suite, c Case) error {
	return s.checkGivenUp(ctx, c, "a call that was given up", func(after time.Duration) (context.Context, context.CancelFunc) {
		gone, cancel := context.WithCancel(ctx)
		if after <= 0 {
			cancel()
		}
		timer := time.AfterFunc(after, cancel)
		return gone, func() { timer.Stop(); cancel() }
	})
}

// checkDeadline: the same holds for a call that takes too long.
func checkDeadline(ctx context.Context, s *suite, c Case) error {
	return s.checkGivenUp(ctx, c, "a call behind its deadline", func(after time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, after)
	})
}

// checkGivenUp gives calls up before they begin and at moments at which the plugin may be at work on them. A stage is seen
// to end in the plugin; of the other services only the host's side is seen.
func (s *suite) checkGivenUp(ctx context.Context, c Case, what string, until func(time.Duration) (context.Context, context.CancelFunc)) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	dead, cancel := until(-time.Second)
	defer cancel()
	if err := wantFailure(what, c.Call(dead, i)); err != nil {
		return err
	}
	for _, after := range []time.Duration{50 * time.Microsecond, 200 * time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
		late, cancel := until(after)
		err := c.Call(late, i)
		gaveUp := late.Err() != nil
		cancel()
		if gaveUp && err != nil { // it may have been in time
			if err := wantFailure(what, err); err != nil {
				return err
			}
		}
	}
	for began := time.Now(); s.process.Stuck(0, i.id) > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > endsWithin {
			return fmt.Errorf("%s goes on in the plugin for more than %v", what, endsWithin)
		}
	}
	return errors.Join(c.Call(ctx, i), s.release(ctx, i))
}

// checkTwo: two instances of the same settings do not depend on each other.
func checkTwo(ctx context.Context, s *suite, c Case) error {
	one, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	two, err := s.instance(ctx, c)
	if err != nil {
		return fmt.Errorf("a second instance: %w", err)
	}
	if err := errors.Join(c.Call(ctx, one), c.Call(ctx, two), s.release(ctx, one)); err != nil {
		return err
	}
	if err := c.Call(ctx, two); err != nil {
		return fmt.Errorf("after the other instance was released: %w", err)
	}
	return s.release(ctx, two)
}

// wantFailure wants an error that is no denial.
func wantFailure(what string, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s succeeds", what)
	case sdk.AsDenial(err) != nil:
		return fmt.Errorf("%s is denied (%w); a denial says that the caller is at fault", what, err)
	}
	return nil
}
