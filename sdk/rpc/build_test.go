package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// startBuilder gives a process whose mappers are built as the setting do says; the deaf constructors end with release.
func startBuilder(t *testing.T, h HostServices) (p *Process, closed *atomic.Int32, release func()) {
	t.Helper()
	closed = &atomic.Int32{}
	gate := make(chan struct{})
	build := func(ctx context.Context, _ sdk.Setup, s testSettings) (*mapper, error) {
		m := &mapper{testSettings: s, closed: closed}
		switch s.Do {
		case "heed":
			<-ctx.Done()
			return nil, ctx.Err()
		case "ignore":
			<-ctx.Done()
		case "deaf":
			<-gate
		case "ask":
			_, err := s.Key.Value(ctx)
			return m, sdk.At(err, "key")
		case "bad":
			return nil, sdk.At(errors.New("bad"), "do")
		}
		return m, nil
	}
	p = start(t, &Server{Implementations: []sdk.Implementation{sdk.PrincipalMapperType("m", build)}}, h)
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release) // before the server is stopped, which waits for it
	return p, closed, release
}

func doing(id uint64, do string) Instance { return mapperInstance(id, `{"do":"`+do+`"}`) }

// outcome configures and says of each instance "ok", "unavailable", "too slow" or the path of what is wrong with its settings.
func outcome(ctx context.Context, t *testing.T, p *Process, in ...Instance) map[uint64]string {
	t.Helper()
	ds, err := p.Configure(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64]string{}
	for _, i := range in {
		out[i.ID] = "ok"
	}
	for _, d := range ds {
		switch out[d.Instance] = "fault at " + d.Path; {
		case d.Warning || d.Summary == "":
			t.Errorf("%+v", d)
		case d.Unavailable:
			if out[d.Instance] = "unavailable"; d.Code == CodeDeadline {
				out[d.Instance] = "too slow"
			}
		}
	}
	for id, o := range out {
		_, err := p.runMapper(t.Context(), id)
		var f *Failure
		if (o == "ok") != (err == nil) || err != nil && (!errors.As(err, &f) || f.Code != CodeUnknownInstance) {
			t.Errorf("the instance %d is %s, a call gives %v", id, o, err)
		}
	}
	return out
}

func TestSlowConstructorsDoNotCostTheOthers(t *testing.T) {
	t.Parallel()
	p, closed, release := startBuilder(t, &fakeHost{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got := outcome(ctx, t, p, doing(1, "heed"), doing(2, "ignore"), doing(3, "deaf"), doing(4, "x"), doing(5, "bad"))
	for id, want := range map[uint64]string{1: "too slow", 2: "too slow", 3: "too slow", 4: "ok", 5: "fault at /do"} {
		if got[id] != want {
			t.Errorf("the instance %d is %s, want %s", id, got[id], want)
		}
	}
	if n := closed.Load(); n != 1 {
		t.Errorf("%d instances are closed before the deaf constructor has ended", n)
	}
	release()
	eventually(t, "what came too late is closed", func() bool { return closed.Load() == 2 })
	if _, err := p.runMapper(t.Context(), 3); err == nil {
		t.Error("what came too late is called")
	}
	if got := outcome(t.Context(), t, p, doing(1, "x"), doing(2, "x"), doing(3, "x")); got[1] != "ok" || got[2] != "ok" || got[3] != "ok" {
		t.Errorf("the places are not free: %v", got)
	}
}

func TestInstancesWithoutATurnCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	p, closed, release := startBuilder(t, &fakeHost{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var in []Instance
	for id := range uint64(maxBuilding + 1) {
		in = append(in, doing(id+1, "deaf"))
	}
	in = append(in, doing(100, "x"))
	for id, o := range outcome(ctx, t, p, in...) {
		if o != "too slow" && id != 100 { // which may have had its turn first
			t.Errorf("the instance %d is %s", id, o)
		}
	}
	// Another batch has turns of its own.
	if got := outcome(t.Context(), t, p, doing(200, "x")); got[200] != "ok" {
		t.Errorf("afterwards: %v", got)
	}
	release()
	eventually(t, "the stragglers are closed", func() bool { return closed.Load() == maxBuilding })
	for n := range in[:maxBuilding+1] {
		in[n] = doing(in[n].ID, "x")
	}
	for id, o := range outcome(t.Context(), t, p, in[:maxBuilding+1]...) {
		if o != "ok" {
			t.Errorf("the second try of the instance %d is %s", id, o)
		}
	}
}

func TestWhatIsNotTheSettingsFault(t *testing.T) {
	t.Parallel()
	h := &fakeHost{resolve: func(_ context.Context, c Caller, r sdk.SecretRef) (sdk.Secret, error) {
		if r.Path() == "sealed" {
			return sdk.Secret{}, errors.New("sealed")
		}
		return sdk.NewSecret([]byte("x")), nil
	}}
	p, closed, _ := startBuilder(t, h)
	key := func(id uint64, ref string) Instance { return mapperInstance(id, `{"do":"ask","key":"`+ref+`"}`) }
	got := outcome(t.Context(), t, p, key(1, "urn:realmgate-secret:s:p"), key(2, "urn:realmgate-secret:s:sealed"), key(3, "pasted"))
	for id, want := range map[uint64]string{1: "ok", 2: "unavailable", 3: "fault at /key"} {
		if got[id] != want {
			t.Errorf("the instance %d is %s, want %s", id, got[id], want)
		}
	}
	ds, err := p.Configure(t.Context(), []Instance{key(4, "urn:realmgate-secret:s:sealed")})
	if err != nil || len(ds) != 1 || !strings.Contains(ds[0].Summary, "sealed") {
		t.Errorf("%v %+v", err, ds)
	}
	if closed.Load() != 0 {
		t.Error("an instance that was never made is closed")
	}
}
