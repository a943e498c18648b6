package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

const modeVariable = "SERVE_TEST_MODE"

// TestMain makes the test binary a plugin when a test starts it again.
func TestMain(m *testing.M) {
	switch os.Getenv(modeVariable) {
	case "plugin":
		Main("test", "1.2.3", sdk.PrincipalMapperType("badge", newMapper))
	case "unary":
		os.Exit(Run(Config{Name: "test", Version: "1.2.3", Implementations: offers(), UnaryOnly: true}))
	case "twice":
		Main("test", "1.2.3", append(offers(), offers()...)...)
	}
	os.Exit(m.Run())
}

type settings struct {
	Claim string        `json:"claim"`
	Key   sdk.SecretRef `json:"key,omitempty"`
}

type mapper struct{ settings }

func newMapper(_ context.Context, _ sdk.Setup, s settings) (*mapper, error) { return &mapper{s}, nil }

func (m *mapper) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	badge, ok := id.Claims.String(m.Claim)
	if !ok {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no claim %q", m.Claim)
	}
	sdk.Logger(ctx).Info("mapped", "badge", badge)
	sdk.Logger(ctx).Debug("hidden")
	if badge == "crash" {
		os.Exit(3)
	}
	if !m.Key.IsZero() {
		v, err := m.Key.Value(ctx)
		return sdk.PrincipalRef{ID: string(v.Reveal()), Name: badge}, err
	}
	return sdk.PrincipalRef{Name: badge}, nil
}

func offers() []sdk.Implementation {
	return []sdk.Implementation{sdk.PrincipalMapperType("badge", newMapper)}
}

// host is a rpc.HostServices with one secret.
type host struct{}

func (host) FindPrincipal(context.Context, rpc.Caller, sdk.PrincipalRef) (sdk.Principal, error) {
	return sdk.Principal{}, errors.New("no directory")
}

func (host) FindAccessKey(context.Context, rpc.Caller, string) (sdk.AccessKey, error) {
	return sdk.AccessKey{}, errors.New("no access keys")
}

func (host) ResolveSecret(_ context.Context, c rpc.Caller, _ sdk.SecretRef) (sdk.Secret, error) {
	return sdk.NewSecret([]byte("secret of " + c.Realm)), nil
}
func (host) Epoch(string) uint64 { return 1 }

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts the test binary as a plugin, as the host does.
func start(t *testing.T, mode string) (*rpc.Process, rpc.Manifest, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{modeVariable + "=" + mode}
	c := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: Handshake, Plugins: PluginSet(), Cmd: cmd, AutoMTLS: true, SkipHostEnv: true,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC}, StartTimeout: 30 * time.Second,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: log, JSONFormat: true}),
	})
	t.Cleanup(c.Kill)
	cp, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	cc, err := cp.Dispense(PluginName)
	if err != nil {
		t.Fatal(err)
	}
	p := rpc.NewProcess(cc.(grpc.ClientConnInterface), host{})
	m, err := p.Describe(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.OpenSession(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, m, log
}

func state(claims string) *sdk.State {
	return &sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(claims))}}
}

func TestChildProcess(t *testing.T) {
	t.Parallel()
	for mode, session := range map[string]rpc.SessionMode{"plugin": rpc.SessionLegs, "unary": rpc.SessionHostCalls} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p, m, log := start(t, mode)
			if m.Name != "test" || m.Version != "1.2.3" || !strings.HasPrefix(m.Build, "go1.") || m.Session != session ||
				len(m.Offers) != 1 || m.Offers[0].Kind != sdk.KindPrincipalMapper || m.Offers[0].Type != "badge" {
				t.Errorf("manifest %+v", m)
			}
			ds, err := p.Configure(t.Context(), []rpc.Instance{
				{ID: 1, Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{"claim":"b"}`)},
				{ID: 2, Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{"claim":"b","key":"urn:realmgate-secret:s:k"}`)},
			})
			if err != nil || len(ds) > 0 {
				t.Fatal(ds, err)
			}
			run := func(instance uint64, claims string) (*sdk.State, error) {
				st := state(claims)
				ctx := sdk.WithRequestID(t.Context(), "req-9")
				return st, p.Run(ctx, "realm1", []rpc.Step{{Kind: sdk.KindPrincipalMapper, Instance: instance}}, st)
			}
			if st, err := run(1, `{"b":"alice"}`); err != nil || st.Ref.Name != "alice" {
				t.Errorf("%+v %v", st.Ref, err)
			}
			if st, err := run(2, `{"b":"alice"}`); err != nil || st.Ref.ID != "secret of realm1" {
				t.Errorf("%+v %v", st.Ref, err)
			}
			if _, err := run(1, `{}`); sdk.AsDenial(err) == nil || sdk.AsDenial(err).Reason != "claim_missing" {
				t.Errorf("%v", err)
			}
			if st, err := run(1, `{"b":"`+strings.Repeat("x", 900<<10)+`"}`); err != nil || len(st.Ref.Name) != 900<<10 {
				t.Errorf("a large but legal message: %v", err)
			}
			for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), `"badge":"alice"`); {
				if time.Now().After(deadline) {
					t.Fatal("the plugin's log line does not arrive")
				}
				time.Sleep(5 * time.Millisecond)
			}
			for _, line := range strings.Split(log.String(), "\n") {
				if strings.Contains(line, `"badge":"alice"`) && (!strings.Contains(line, `"request_id":"req-9"`) ||
					!strings.Contains(line, `"@message":"mapped"`) || !strings.Contains(line, `"@level":"info"`)) {
					t.Errorf("log line %s", line)
				}
			}
			if strings.Contains(log.String(), "hidden") {
				t.Error("a debug line is written though the level is info")
			}
			lost := p.SessionLost()
			if _, err := run(1, `{"b":"crash"}`); !errors.Is(err, rpc.ErrLost) {
				t.Errorf("a crash: %v", err)
			}
			select {
			case <-lost:
			case <-time.After(20 * time.Second):
				t.Error("the loss of the session is not told")
			}
		})
	}
}

func TestMainVersion(t *testing.T) {
	for version, want := range map[string]string{"v0.2.0": "v0.2.0", "(devel)": "dev", "": "dev"} {
		if got := mainVersion(&debug.BuildInfo{Main: debug.Module{Version: version}}, true); got != want {
			t.Errorf("%q: got %q, want %q", version, got, want)
		}
	}
	if got := mainVersion(nil, false); got != "dev" {
		t.Errorf("no build information: %q", got)
	}
}

func TestByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode string
		args []string
		code int
		want []string
	}{
		{"plugin", nil, 2, []string{"This is a plugin of Realmgate", "name:    test", "version: 1.2.3", `principal-mapper "badge"`}},
		{"plugin", []string{"--version"}, 0, []string{"version: 1.2.3", `principal-mapper "badge"`}},
		{"plugin", []string{"--help"}, 0, []string{"This is a plugin of Realmgate"}},
		{"twice", nil, 1, []string{`realmgate-plugin-test: the manifest: principal-mapper of type "badge" is offered twice`}},
	} {
		cmd := exec.Command(os.Args[0], c.args...)
		cmd.Env = []string{modeVariable + "=" + c.mode}
		out, err := cmd.CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.args, code, c.code)
		}
		for _, w := range c.want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%v: %q does not say %q", c.args, out, w)
			}
		}
	}
}

func TestMistakesAreFoundBeforeServing(t *testing.T) {
	t.Parallel()
	type settings struct {
		Timeout time.Duration `json:"timeout" default:"5s"`
	}
	unfit := sdk.PrincipalMapperType("badge", func(context.Context, sdk.Setup, settings) (*mapper, error) { return nil, nil })
	for _, c := range []struct {
		name  string
		impls []sdk.Implementation
		want  string
	}{
		{"x y", offers(), "the name"},
		{"test", []sdk.Implementation{unfit}, "realmgate-plugin-test: principal-mapper \"badge\": sdk: type serve.settings, field Timeout: a time.Duration is a number of nanoseconds here: take sdk.Duration\n"},
	} {
		for _, started := range []bool{true, false} {
			var stderr bytes.Buffer
			code := run(Config{Name: c.name, Implementations: c.impls}, nil, started, io.Discard, &stderr, func(*rpc.Server, hclog.Logger) {
				t.Error("it serves")
			})
			if code != 1 || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("%d %s", code, stderr.String())
			}
		}
	}
}
