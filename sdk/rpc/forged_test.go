package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/realmgate/realmgate/sdk"
)

// forger is a plugin that asks the host on behalf of whatever a test wants.
type forger struct {
	stream  openServer
	arrived chan *pluginv1.Leg
	cancels chan uint64
	replies chan *pluginv1.HostReply
	mu      sync.Mutex
}

func startForger(t *testing.T, host HostServices) (*forger, *Process) {
	t.Helper()
	f := &forger{arrived: make(chan *pluginv1.Leg, 8), cancels: make(chan uint64, 8), replies: make(chan *pluginv1.HostReply, 8)}
	p := startRaw(t, host, func(s openServer) error {
		f.mu.Lock()
		f.stream = s
		f.mu.Unlock()
		for {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			for _, l := range m.GetLegs() {
				f.arrived <- l
			}
			for _, c := range m.GetCancels() {
				f.cancels <- c.GetLegId()
			}
			for _, r := range m.GetReplies() {
				f.replies <- r
			}
		}
	})
	return f, p
}

func (f *forger) send(t *testing.T, m *pluginv1.OpenResponse) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.stream.Send(m); err != nil {
		t.Error(err)
	}
}

// ask looks a principal up and gives its id, or the failure. The call has a realm of the plugin's own in it.
func (f *forger) ask(t *testing.T, call, instance uint64) string {
	t.Helper()
	q := &pluginv1.HostCall{Id: 1, CallId: call, InstanceId: instance, TimeoutUs: 10e6, Call: &pluginv1.HostCall_FindPrincipal{
		FindPrincipal: &pluginv1.FindPrincipal{Ref: &pluginv1.PrincipalRef{Id: "1"}},
	}}
	for field := protowire.Number(20); field < 24; field++ {
		forged := protowire.AppendString(protowire.AppendTag(q.ProtoReflect().GetUnknown(), field, protowire.BytesType), "forged")
		q.ProtoReflect().SetUnknown(forged)
	}
	f.send(t, &pluginv1.OpenResponse{Calls: []*pluginv1.HostCall{q}})
	r := <-f.replies
	if f := r.GetFailure(); f != nil {
		return f.GetMessage()
	}
	return r.GetPrincipal().GetId()
}

// leg starts a leg of one instance in a realm and gives it as it arrives, and the error with which it ends.
func (f *forger) leg(ctx context.Context, p *Process, realm string, instance uint64) (*pluginv1.Leg, <-chan error) {
	ended := make(chan error, 1)
	go func() {
		st := &sdk.State{Request: &sdk.Request{Realm: realm}, Identity: &sdk.Identity{}}
		ended <- p.Run(ctx, realm, []Step{{sdk.KindPrincipalRolesMapper, instance}}, st)
	}()
	return <-f.arrived, ended
}

// A question is answered for the realm and the instance of the call that it names, and of no other, whatever the plugin
// writes into it.
func TestForgedHostCalls(t *testing.T) {
	t.Parallel()
	h := &fakeHost{find: func(_ context.Context, c Caller, _ sdk.PrincipalRef) (sdk.Principal, error) {
		return sdk.Principal{ID: c.Realm}, nil
	}}
	f, p := startForger(t, h)
	const noPart, over = "takes no part", "has ended"
	check := func(what, got, want string) {
		t.Helper()
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	first, firstEnded := f.leg(t.Context(), p, "r1", 11)
	ctx, cancel := context.WithCancel(t.Context())
	second, secondEnded := f.leg(ctx, p, "r2", 22)

	check("the first call", f.ask(t, first.GetId(), 11), "r1")
	check("the second call", f.ask(t, second.GetId(), 22), "r2")
	check("the id of another call", f.ask(t, second.GetId(), 11), noPart)
	check("the instance of another call", f.ask(t, first.GetId(), 22), noPart)
	check("an instance of another plugin", f.ask(t, first.GetId(), 33), noPart)
	check("no instance", f.ask(t, first.GetId(), 0), noPart)
	check("a call to come", f.ask(t, second.GetId()+1, 22), over)
	check("no call", f.ask(t, 0, 11), over)

	cancel()
	if err := <-secondEnded; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if id := <-f.cancels; id != second.GetId() {
		t.Errorf("leg %d was given up", id)
	}
	check("a call that was given up", f.ask(t, second.GetId(), 22), over)
	check("the first call, still", f.ask(t, first.GetId(), 11), "r1")

	f.send(t, &pluginv1.OpenResponse{Results: []*pluginv1.LegResult{{Id: first.GetId(), StepsDone: 1, Added: &pluginv1.State{MappedRoles: &pluginv1.Roles{}}}}})
	if err := <-firstEnded; err != nil {
		t.Error(err)
	}
	check("a call that has ended", f.ask(t, first.GetId(), 11), over)
}
