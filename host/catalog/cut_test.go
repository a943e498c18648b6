package catalog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// serveCut serves a plugin that ends its session, but not itself, when a leg comes while there is a mark, which it takes away.
func serveCut() {
	server := &rpc.Server{Name: "cuts", Version: "1", Implementations: implementations("badge")}
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: serve.Handshake, Logger: hclog.NewNullLogger(), Plugins: plugin.PluginSet{serve.PluginName: cutPlugin{server: server}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				return next(srv, cutStream{s})
			}))...)
		}})
}

type cutPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	server *rpc.Server
}

func (p cutPlugin) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	return p.server.Register(g)
}

func (cutPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

type cutStream struct{ grpc.ServerStream }

func (s cutStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if q, ok := m.(*pluginv1.OpenRequest); ok && err == nil && len(q.GetLegs()) > 0 && os.Remove(os.Getenv("MARK")) == nil {
		return errors.New("the session is cut")
	}
	return err
}

// cuts gives a world whose plugin can be made to end its session, and what makes it.
func cuts(t *testing.T) (w *world, cut func()) {
	t.Helper()
	s := source(t, "p", "cuts")
	s.Env["MARK"] = filepath.Join(t.TempDir(), "mark")
	return newWorld(t, nil, s), func() {
		t.Helper()
		if err := os.WriteFile(s.Env["MARK"], nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Where a session breaks and the process lives, a call without side effects is made once more on it, and another one fails soon,
// however long it may take.
func TestCallOfABrokenSession(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind     sdk.Kind
		repeated bool
	}{
		"without side effects": {sdk.KindPrincipalMapper, true},
		"idempotent":           {sdk.KindIdentityProvider, false}, // it may remember what it has seen
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, cut := cuts(t)
			hs, ds := w.Configure(t.Context(), []Instance{{Kind: tt.kind, Type: "badge", Setup: sdk.Setup{Tenant: "t"}}})
			if len(ds) > 0 {
				t.Fatal(ds)
			}
			pid, leg, end := w.pids()[0], w.leg(t, hs[0]), w.beside(t)
			cut()
			start := time.Now()
			err := within(t, leg, 5*time.Minute, "x")
			if (err == nil) != tt.repeated || err != nil && !errors.Is(err, ErrUnavailable) {
				t.Error(err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			end()
			if s := w.Plugins()[0]; s.PID != pid || s.Restarts != 0 || s.BreakerOpen {
				t.Errorf("process %d, then %d", pid, s.PID)
			}
			if !strings.Contains(w.log.String(), "session was lost and opened again") {
				t.Error("the session did not break")
			}
		})
	}
}

// A call that ends its session, alone, is not made again, and closes the way of its realm only.
func TestCallThatEndsItsSession(t *testing.T) {
	t.Parallel()
	w, cut := cuts(t)
	falls, fine := w.leg(t, w.mapper(t, "")), w.leg(t, w.mapper(t, ""))
	for n := range uint64(5) {
		waitFor(t, "the session is open", func() bool { x := w.plugins[0].live; return x.sessions.Load() == n+1 && !x.broken() })
		cut()
		if err := within(t, falls, time.Minute, "x"); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	waitFor(t, "the way is closed", falls.gate.Open)
	if c := w.Counts()["p"]; c.Retries != 0 || w.Plugins()[0].Restarts != 0 {
		t.Errorf("%+v", c)
	}
	waitFor(t, "another realm is served", func() bool { return within(t, fine, time.Minute, "x") == nil })
}
