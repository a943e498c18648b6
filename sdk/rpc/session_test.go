package rpc

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
)

type openServer = grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]

// answerLegs is an Open that answers every leg with what f says.
func answerLegs(f func(*pluginv1.Leg) []*pluginv1.LegResult) func(openServer) error {
	return func(s openServer) error {
		for {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			out := &pluginv1.OpenResponse{}
			for _, l := range m.GetLegs() {
				out.Results = append(out.Results, f(l)...)
			}
			if err := s.Send(out); err != nil {
				return err
			}
		}
	}
}

func TestHostBelievesOnlyWhatStepsMake(t *testing.T) {
	t.Parallel()
	roles := []Step{{sdk.KindPrincipalRolesMapper, 1}}
	good := &pluginv1.State{MappedRoles: &pluginv1.Roles{Names: []string{"r"}}}
	for _, c := range []struct {
		name   string
		result *pluginv1.LegResult
		want   string // part of the failure; empty: none
	}{
		{"good", &pluginv1.LegResult{StepsDone: 1, Added: good}, ""},
		{"more than it made", &pluginv1.LegResult{StepsDone: 1, Added: &pluginv1.State{
			MappedRoles: good.GetMappedRoles(), Principal: &pluginv1.Principal{Id: "root", Enabled: true}, ActiveRoles: &pluginv1.Roles{Names: []string{"admin"}},
			Credential: &pluginv1.Credential{Principal: &pluginv1.PrincipalRef{Id: "root"}}, PrincipalRef: &pluginv1.PrincipalRef{Id: "root"},
			Identity: &pluginv1.Identity{Subject: "root"}, Request: &pluginv1.Request{Token: "other"},
		}}, ""},
		{"less than it made", &pluginv1.LegResult{StepsDone: 1}, "no mapped roles"},
		{"nothing done", &pluginv1.LegResult{Added: good}, "ended after 0 steps of 1"},
		{"more steps than there are", &pluginv1.LegResult{StepsDone: 2, Added: good}, "2 steps of 1"},
		{"not mine of a mapper", &pluginv1.LegResult{Denial: &pluginv1.Denial{Reason: "not_mine"}}, "only a verifier may"},
		{"denied after success", &pluginv1.LegResult{StepsDone: 1, Added: good, Denial: &pluginv1.Denial{Reason: "x"}}, "after all steps"},
		{"failure and denial", &pluginv1.LegResult{Denial: &pluginv1.Denial{Reason: "x"}, Failure: &pluginv1.Failure{Message: "broken"}}, "broken"},
		{"far too much", &pluginv1.LegResult{StepsDone: 1, Added: &pluginv1.State{
			MappedRoles: &pluginv1.Roles{Names: []string{strings.Repeat("x", maxItem)}},
		}}, "over the bound"},
		{"failure without a message", &pluginv1.LegResult{Failure: &pluginv1.Failure{Code: 77}}, "without a message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := startRaw(t, &fakeHost{}, answerLegs(func(l *pluginv1.Leg) []*pluginv1.LegResult {
				c.result.Id = l.GetId()
				stray := &pluginv1.LegResult{Id: l.GetId() + 1000, StepsDone: 1}
				return []*pluginv1.LegResult{stray, c.result, c.result}
			}))
			st := request("x")
			st.Identity = &sdk.Identity{Subject: "alice"}
			err := p.Run(t.Context(), "realm1", roles, st)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if st.Identity.Subject != "alice" || st.Request.Token != "x" || st.Ref != nil || st.Credential != nil || st.Principal != nil || st.Active != nil || len(st.Mapped) != 1 {
					t.Errorf("the state has what no step made: %+v", st)
				}
				return
			}
			var f *Failure
			if !errors.As(err, &f) || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want a failure with %q", err, c.want)
			}
		})
	}
}

func TestTenantIsTheHostsWord(t *testing.T) {
	t.Parallel()
	p := startRaw(t, &fakeHost{}, answerLegs(func(l *pluginv1.Leg) []*pluginv1.LegResult {
		return []*pluginv1.LegResult{{Id: l.GetId(), StepsDone: 1, Added: &pluginv1.State{Identity: &pluginv1.Identity{Tenant: "another", Subject: "s"}}}}
	}))
	p.tenants.Store(uint64(1), "tenant1") // as Configure does
	for instance, want := range map[uint64]string{1: "tenant1", 2: ""} {
		st := request("x")
		if err := p.Run(t.Context(), "r", []Step{{sdk.KindIdentityProvider, instance}}, st); err != nil || st.Identity.Subject != "s" || st.Identity.Tenant != want {
			t.Errorf("%v %+v, want the tenant %q", err, st.Identity, want)
		}
	}
}

func TestLostStreamFailsItsWaitersAndIsOpenedAgain(t *testing.T) {
	t.Parallel()
	var opens atomic.Int32
	var ids sync.Map
	kill := make(chan struct{})
	p := startRaw(t, &fakeHost{}, func(s openServer) error {
		if opens.Add(1) > 1 {
			return answerLegs(func(l *pluginv1.Leg) []*pluginv1.LegResult {
				if _, used := ids.LoadOrStore(l.GetId(), true); used {
					t.Errorf("the leg id %d is used again", l.GetId())
				}
				return []*pluginv1.LegResult{{Id: l.GetId(), StepsDone: 1, Added: &pluginv1.State{MappedRoles: &pluginv1.Roles{}}}}
			})(s)
		}
		for n := 0; n < 8; {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			for _, l := range m.GetLegs() {
				ids.Store(l.GetId(), true)
				n++
			}
		}
		close(kill)
		return io.ErrUnexpectedEOF
	})
	lost := p.SessionLost()
	run := func() error {
		st := request("x")
		st.Identity = &sdk.Identity{}
		return p.Run(t.Context(), "r", []Step{{sdk.KindPrincipalRolesMapper, 1}}, st)
	}
	errs := make(chan error, 8)
	for range 8 {
		go func() { errs <- run() }()
	}
	wait(t, kill, "the plugin has all legs")
	wait(t, lost, "the loss is told")
	for range 8 {
		if err := <-errs; !errors.Is(err, ErrLost) || sdk.AsDenial(err) != nil {
			t.Errorf("%v, want it to be lost", err)
		}
	}
	if err := run(); !errors.Is(err, ErrLost) {
		t.Errorf("without a stream: %v", err)
	}
	if err := p.OpenSession(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := run(); err != nil {
		t.Errorf("on the new stream: %v", err)
	}
	select {
	case <-p.SessionLost():
		t.Error("the new stream is lost")
	default:
	}
}

func TestSecondOpenReplacesTheFirst(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	f := &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
		if r.Token == "hang" {
			close(started)
			<-ctx.Done()
			close(ended)
		}
		return sdk.Identity{Subject: "s"}, nil
	}}
	p := startFake(t, f, &fakeHost{}, false)
	errs := make(chan error, 1)
	go func() { errs <- p.Run(t.Context(), "r", external, request("hang")) }()
	wait(t, started, "the leg starts")
	if err := p.OpenSession(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; !errors.Is(err, ErrLost) {
		t.Errorf("a leg of the old stream: %v", err)
	}
	wait(t, ended, "the leg of the old stream ends in the plugin")
	if err := p.Run(t.Context(), "r", external, request("x")); err != nil {
		t.Errorf("on the new stream: %v", err)
	}
}

func TestSlowLegDoesNotHoldUpTheStream(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var blocked atomic.Int32
	f := &fake{identify: func(_ context.Context, r sdk.Request) (sdk.Identity, error) {
		if r.Token == "slow" {
			blocked.Add(1)
			<-release
		}
		return sdk.Identity{Subject: "s"}, nil
	}}
	p := startFake(t, f, &fakeHost{}, false)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if err := p.Run(t.Context(), "r", external, request("slow")); err != nil {
				t.Error(err)
			}
		})
	}
	for blocked.Load() < 100 { // none of them holds up another
		runtime.Gosched()
	}
	for range 100 {
		if err := p.Run(t.Context(), "r", external, request("quick")); err != nil {
			t.Error(err)
		}
	}
	close(release)
	all.Wait()
}

// Each item is legal, all of them in one message would not be.
func TestFloodOfLargeTokens(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("x", 60<<10)
	f := &fake{identify: func(_ context.Context, r sdk.Request) (sdk.Identity, error) {
		return sdk.Identity{Subject: r.Token[:10], Claims: sdk.NewClaims([]byte(`{"x":"` + r.Token + `"}`))}, nil
	}}
	p := startFake(t, f, &fakeHost{}, false)
	ctx, cancel := unhurried(t)
	defer cancel()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			st := request(token)
			if err := p.Run(ctx, "r", external[:2], st); err != nil { // the other mapper is to read the claims yet
				t.Error(err)
			} else if len(st.Identity.Claims.Raw()) < len(token) {
				t.Error("claims are lost")
			}
		})
	}
	all.Wait()
}

func TestCallsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		p := startFake(t, &fake{}, &fakeHost{}, unary)
		for range maxLegs {
			p.calls.slots <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := p.Run(ctx, "r", external, request("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one call more than the bound: %v", err)
		}
		<-p.calls.slots
		if err := p.Run(t.Context(), "r", external, request("x")); err != nil {
			t.Errorf("with a slot: %v", err)
		}
	})
}

func TestPluginRefusesMoreLegsThanItsBound(t *testing.T) {
	t.Parallel()
	s := &pluginSession{ctx: t.Context(), out: newOutbox(), legs: map[uint64]*servedLeg{}}
	m := &pluginv1.OpenRequest{}
	for id := range uint64(maxServedLegs + 3) {
		m.Legs = append(m.Legs, &pluginv1.Leg{Id: id + 1, TimeoutUs: 1e9})
	}
	m.Cancels = []*pluginv1.Cancel{{LegId: 5}}
	legs := s.receive(m)
	if len(legs) != maxServedLegs {
		t.Errorf("%d legs are taken", len(legs))
	}
	if legs[4].ctx.Err() == nil || legs[5].ctx.Err() != nil {
		t.Error("a leg that came with its cancel is not given up, or another is")
	}
	if len(s.out.batches) != 1 {
		t.Error("the refused legs get no answer")
	}
	for _, l := range legs {
		l.cancel()
	}
}
