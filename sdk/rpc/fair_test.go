package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// hanging is a fake whose identity provider ends with release and, unless it is deaf, with its context.
func hanging(deaf bool) (f *fake, started *atomic.Int32, release func()) {
	started = &atomic.Int32{}
	gate := make(chan struct{})
	f = &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
		if r.Token != "hang" {
			return sdk.Identity{Subject: "s"}, nil
		}
		started.Add(1)
		if deaf {
			<-gate
			return sdk.Identity{}, ctx.Err()
		}
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return sdk.Identity{}, ctx.Err()
	}}
	return f, started, sync.OnceFunc(func() { close(gate) })
}

// unhurried gives a context for much work: a call without a deadline has 30 seconds, which a busy machine may need for it.
func unhurried(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 5*time.Minute)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("does not happen: " + what)
		}
	}
}

// BenchmarkBlockedLegs is how long 800 legs that block hold the stream up. One behind the other they would take 800 times the
// reader's patience, which is reported beside it.
func BenchmarkBlockedLegs(b *testing.B) {
	const legs = 800
	for b.Loop() {
		f, started, release := hanging(false)
		p := startFake(b, f, &fakeHost{}, false)
		began := time.Now()
		var all sync.WaitGroup
		for n := range legs {
			all.Go(func() {
				if err := p.Run(b.Context(), "realm"+string(rune('a'+n%4)), external[:1], request("hang")); err != nil {
					b.Error(err)
				}
			})
		}
		eventually(b, "all legs have begun", func() bool { return started.Load() == legs })
		b.ReportMetric(float64(time.Since(began))/float64(legs*patience), "of-one-behind-the-other")
		release()
		all.Wait()
	}
}

func TestReaderLearnsWhoBlocks(t *testing.T) {
	t.Parallel()
	f, started, release := hanging(false)
	pl, p := startPlugin(t, &Server{Implementations: f.offers()}, &fakeHost{})
	configureFake(t, p)
	steps := func(id uint64) []*pluginv1.Step { return []*pluginv1.Step{{InstanceId: 2}, {InstanceId: id}} }
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context(), "r", external[:1], request("hang")) }()
	eventually(t, "the leg is found to block", func() bool { return pl.instances.block(steps(1)) })
	if pl.instances.block(steps(6)) || started.Load() != 1 {
		t.Error("another instance is said to block")
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range 10 * waryFor { // some may be slow on a busy machine
		if err := p.Run(t.Context(), "r", external[:1], request("x")); err != nil {
			t.Fatal(err)
		}
		if !pl.instances.block(steps(1)) {
			break
		}
	}
	if pl.instances.block(steps(1)) {
		t.Error("quick calls do not bring trust back")
	}
	pl.instances.took(1, time.Second)
	if !pl.instances.block(steps(1)) {
		t.Error("a slow call is not noticed")
	}
	pl.instances.release(1)
	if n := pl.instances.blocking.Load(); n != 0 {
		t.Errorf("%d instances block after the only one was released", n)
	}
}

func TestOneRealmLeavesSlotsToTheOthers(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		f, started, release := hanging(false)
		defer release()
		p := startFake(t, f, &fakeHost{}, unary)
		ctx, cancel := unhurried(t)
		defer cancel()
		var all sync.WaitGroup
		for range maxLegs + 76 {
			all.Go(func() {
				if err := p.Run(ctx, "bad", external[:1], request("hang")); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		eventually(t, "the realm has its share", func() bool { return started.Load() == maxShare })
		for range 10 {
			if err := p.Run(t.Context(), "good", external, request("x")); err != nil {
				t.Errorf("another realm: %v", err)
			}
		}
		if n := started.Load(); n != maxShare {
			t.Errorf("%d calls of one realm are in flight", n)
		}
		cancel()
		all.Wait()
		if err := p.Run(t.Context(), "bad", external[:1], request("x")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if len(p.calls.shares.m) != 0 || len(p.calls.slots) != 0 {
			t.Error("shares or slots are not given back")
		}
	})
}

func TestSharesAreHandedOver(t *testing.T) {
	t.Parallel()
	var s shares
	k := shareKey{instance: 1}
	for range maxShare {
		if err := s.take(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for range 1000 { // they take, give up and give back in any order
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if s.take(ctx, k) == nil {
				s.giveBack(k)
			}
		})
	}
	for range maxShare {
		s.giveBack(k)
	}
	all.Wait()
	if len(s.m) != 0 {
		t.Errorf("what is left is %+v", s.m[k])
	}
	if (&call{}).shareKey() == (&call{parties: external}).shareKey() || (&call{realm: "r", parties: external}).shareKey() != (shareKey{realm: "r"}) {
		t.Error("calls are counted for another")
	}
}

func TestHungInstanceFailsAlone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		f, started, release := hanging(true)
		defer release()
		p := startFake(t, f, &fakeHost{}, unary)
		ctx, cancel := unhurried(t)
		defer cancel()
		var all sync.WaitGroup
		for range maxHung {
			all.Go(func() {
				if err := p.Run(ctx, "r", external[:1], request("hang")); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		eventually(t, "all calls hang", func() bool { return started.Load() == maxHung })
		if err := p.Run(t.Context(), "r", external[:1], request("x")); err != nil {
			t.Errorf("calls that somebody waits for do not count: %v", err)
		}
		cancel()
		all.Wait()
		eventually(t, "the instance takes no more calls", func() bool {
			err := p.Run(t.Context(), "r", external[:1], request("x"))
			return err != nil && strings.Contains(err.Error(), "were given up and do not end")
		})
		if err := p.Run(t.Context(), "r", []Step{{sdk.KindTokenBroker, 6}}, request("x")); err != nil {
			t.Errorf("another instance: %v", err)
		}
		if !unary {
			if n := p.Stuck(0); n != maxHung || p.Stuck(0, 2, 1) != maxHung || p.Stuck(0, 2) != 0 || p.Stuck(time.Hour) != 0 {
				t.Errorf("%d legs are stuck", n)
			}
		}
		release()
		eventually(t, "the instance is sound again", func() bool {
			return p.Run(t.Context(), "r", external[:1], request("x")) == nil && p.Stuck(0) == 0
		})
	})
}
