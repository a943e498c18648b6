package catalog

import (
	"os"
	"strconv"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// serveLate serves a plugin that says of each leg that failed that STEPS of its steps were done, and that the time was over
// behind them only if it says so with LATE: without, as one does that does not know how.
func serveLate() {
	server := &rpc.Server{Name: "late", Version: "1", Implementations: implementations("badge")}
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: serve.Handshake, Logger: hclog.NewNullLogger(), Plugins: plugin.PluginSet{serve.PluginName: cutPlugin{server: server}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				return next(srv, lateStream{s})
			}))...)
		}})
}

type lateStream struct{ grpc.ServerStream }

func (s lateStream) SendMsg(m any) error {
	batch, ok := m.(*pluginv1.OpenResponse)
	if !ok {
		return s.ServerStream.SendMsg(m)
	}
	encoded, err := proto.Marshal(batch)
	if err != nil {
		return err
	}
	said := &pluginv1.OpenResponse{}
	if err := proto.Unmarshal(encoded, said); err != nil {
		return err
	}
	for _, r := range said.GetResults() {
		if r.GetFailure() != nil {
			n, err := strconv.ParseUint(os.Getenv("STEPS"), 10, 32)
			if err != nil {
				return err
			}
			r.StepsDone, r.Late = uint32(n), os.Getenv("LATE") != ""
		}
	}
	return s.ServerStream.SendMsg(said)
}

// What a plugin says of a leg after its time is believed only as far as it can be true, and of one that does not say where the
// time was over nothing is guessed: then it speaks against all.
func TestLateResultIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		steps, late string
		failed      [2]int64 // calls of the provider and of the mapper
	}{
		"the first step":             {"0", "yes", [2]int64{1, 0}},
		"the second step":            {"1", "yes", [2]int64{0, 1}},
		"all steps":                  {"2", "yes", [2]int64{1, 1}},
		"more steps than there are":  {"3", "yes", [2]int64{1, 1}},
		"far more":                   {"4294967295", "yes", [2]int64{1, 1}},
		"it does not say, a step":    {"1", "", [2]int64{1, 1}},
		"it does not say, no step":   {"0", "", [2]int64{1, 1}},
		"it does not say, all steps": {"2", "", [2]int64{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := source(t, "p", "late")
			s.Env["STEPS"], s.Env["LATE"] = tt.steps, tt.late
			w := newWorld(t, nil, s)
			hs, ds := w.Configure(t.Context(), []Instance{
				{Kind: sdk.KindIdentityProvider, Type: "badge", Settings: []byte(`{"do":"come late"}`), Setup: sdk.Setup{Tenant: "t"}},
				{Kind: sdk.KindPrincipalMapper, Type: "badge"},
			})
			if len(ds) > 0 {
				t.Fatal(ds)
			}
			l, err := w.Leg("r1", hs)
			if err != nil {
				t.Fatal(err)
			}
			got := func() (out [2]int64) {
				for n, i := range l.all {
					out[n] = i.records[steps].failed.Load()
				}
				return out
			}
			if tt.failed[0] != tt.failed[1] { // a call of which nothing is heard in time, on a busy machine, speaks against both
				waitFor(t, "one of them alone is blamed", func() bool {
					ask(t, l, 2*fair, "wait")
					n := got()
					return n[0] != n[1] && (n[0] > n[1]) == (tt.failed[0] > tt.failed[1])
				})
				return
			}
			ask(t, l, 2*fair, "wait")
			waitFor(t, "the call is judged", func() bool { n := got(); return n[0]+n[1] >= 2 })
			if n := got(); n != tt.failed {
				t.Errorf("%v, want %v", n, tt.failed)
			}
		})
	}
}
