package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
)

type testSettings struct {
	Do  string        `json:"do" default:""`
	Pad string        `json:"pad" default:""`
	Key sdk.SecretRef `json:"key,omitempty"`
}

// mapper is a principal mapper with settings.
type mapper struct {
	testSettings
	setup  sdk.Setup
	closed *atomic.Int32
	hold   <-chan struct{} // what Close waits for, unless nil
	run    func(ctx context.Context) error
}

func (m *mapper) MapPrincipal(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
	if m.run != nil {
		if err := m.run(ctx); err != nil {
			return sdk.PrincipalRef{}, err
		}
	}
	return sdk.PrincipalRef{Name: m.Do}, nil
}

func (m *mapper) Close() error {
	if m.hold != nil {
		<-m.hold
	}
	m.closed.Add(1)
	return nil
}

func newMapper(proto mapper) sdk.New[testSettings, *mapper] {
	return func(ctx context.Context, su sdk.Setup, s testSettings) (*mapper, error) {
		m := proto
		m.testSettings, m.setup = s, su
		switch s.Do {
		case "fail":
			return nil, errors.Join(sdk.At(errors.New("bad"), "do"), errors.New("worse"))
		case "panic":
			panic("boom")
		case "warn":
			sdk.Warn(ctx, sdk.At(errors.New("unwise"), "do"))
		case "ask":
			v, err := s.Key.Value(ctx)
			if err != nil {
				return nil, err
			}
			m.Do = string(v.Reveal())
		}
		return &m, nil
	}
}

func startMapper(t *testing.T, m mapper, h HostServices) *Process {
	t.Helper()
	if m.closed == nil {
		m.closed = &atomic.Int32{}
	}
	return start(t, &Server{Implementations: []sdk.Implementation{sdk.PrincipalMapperType("m", newMapper(m))}}, h)
}

func mapperInstance(id uint64, settings string) Instance {
	return Instance{ID: id, Kind: sdk.KindPrincipalMapper, Type: "m", Settings: []byte(settings), Setup: sdk.Setup{Tenant: "t"}}
}

func (p *Process) runMapper(ctx context.Context, id uint64) (string, error) {
	st := &sdk.State{Request: &sdk.Request{}, Identity: &sdk.Identity{}}
	if err := p.Run(ctx, "r", []Step{{sdk.KindPrincipalMapper, id}}, st); err != nil {
		return "", err
	}
	return st.Ref.Name, nil
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	var callers atomic.Value
	h := &fakeHost{resolve: func(_ context.Context, c Caller, _ sdk.SecretRef) (sdk.Secret, error) {
		callers.Store(c)
		return sdk.NewSecret([]byte("hunter2")), nil
	}}
	p := startMapper(t, mapper{}, h)
	ds, err := p.Configure(t.Context(), []Instance{
		mapperInstance(1, `{"do":"x"}`),
		mapperInstance(2, `{"do":"fail"}`),
		mapperInstance(3, `{"do":"panic"}`),
		mapperInstance(4, `{"do":"warn"}`),
		mapperInstance(5, `{"key":"pasted"}`),
		mapperInstance(6, `{"do":"ask","key":"urn:realmgate-secret:s:p"}`),
		{ID: 7, Kind: sdk.KindPrincipalMapper, Type: "nope"},
		{ID: 8, Kind: sdk.KindAuthenticator, Type: "m"},
		mapperInstance(9, `{"pad":"`+strings.Repeat("x", maxItem)+`"}`),
		mapperInstance(1, `{"do":"again"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range ds {
		got = append(got, fmt.Sprintf("%d warning=%v %q %s sensitive=%v", d.Instance, d.Warning, d.Path, d.Summary, d.Sensitive))
	}
	want := []string{
		`2 warning=false "/do" bad sensitive=false`,
		`2 warning=false "" worse sensitive=false`,
		`3 warning=false "" panic: boom sensitive=false`,
		`4 warning=true "/do" unwise sensitive=false`,
		`5 warning=false "/key" a secret reference (urn:realmgate-secret:<store>:<path>) is wanted, not the secret itself sensitive=true`,
		`7 warning=false "" there is no principal-mapper of type "nope" in this plugin sensitive=false`,
		`8 warning=false "" there is no authenticator of type "m" in this plugin sensitive=false`,
		`9 warning=false "" the settings are too large: a message of 1048612 bytes is over the bound of 1048576 sensitive=false`,
		`1 warning=false "" the instance 1 exists already sensitive=false`,
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := callers.Load(); !reflect.DeepEqual(c, Caller{Instance: 6, Configuring: true}) {
		t.Errorf("the constructor's caller is %+v", c)
	}
	for id, name := range map[uint64]string{1: "x", 4: "warn", 6: "hunter2", 2: "", 3: "", 5: "", 9: ""} {
		got, err := p.runMapper(t.Context(), id)
		var f *Failure
		if name == "" && (!errors.As(err, &f) || f.Code != CodeUnknownInstance) || got != name {
			t.Errorf("instance %d: %q %v", id, got, err)
		}
	}
}

func TestConfigureSplits(t *testing.T) {
	t.Parallel()
	p := startMapper(t, mapper{}, &fakeHost{})
	var in []Instance
	for id := range uint64(20) { // 18 MiB
		in = append(in, mapperInstance(id+1, `{"pad":"`+strings.Repeat("x", 900<<10)+`"}`))
	}
	for id := range uint64(2500) {
		in = append(in, mapperInstance(id+100, `{"do":"fail"}`))
	}
	ctx, cancel := unhurried(t)
	defer cancel()
	ds, err := p.Configure(ctx, in)
	if err != nil || len(ds) != 5000 {
		t.Fatal(len(ds), err)
	}
	for _, id := range []uint64{1, 20} {
		if _, err := p.runMapper(t.Context(), id); err != nil {
			t.Errorf("instance %d: %v", id, err)
		}
	}
}

func TestManyDiagnosticsFitInAnAnswer(t *testing.T) {
	t.Parallel()
	r := &pluginv1.InstanceResult{Diagnostics: []*pluginv1.Diagnostic{
		{Severity: pluginv1.Diagnostic_SEVERITY_WARNING, Summary: "w"},
		{Severity: pluginv1.Diagnostic_SEVERITY_ERROR, Summary: strings.Repeat("é", maxText/2)},
		{Severity: pluginv1.Diagnostic_SEVERITY_ERROR, Summary: "other"},
	}}
	shorten(r)
	if len(r.GetDiagnostics()) != 1 || !strings.HasPrefix(r.GetDiagnostics()[0].GetSummary(), "é") || len(r.GetDiagnostics()[0].GetSummary()) > maxText/4 {
		t.Errorf("%v", r)
	}
}

func TestReleaseWaitsForRunningCalls(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	var closed atomic.Int32
	p := startMapper(t, mapper{closed: &closed, run: func(context.Context) error {
		close(started)
		<-release
		if closed.Load() != 0 {
			return errors.New("closed under a running call")
		}
		return nil
	}}, &fakeHost{})
	if ds, err := p.Configure(t.Context(), []Instance{mapperInstance(1, `{"do":"x"}`)}); err != nil || len(ds) > 0 {
		t.Fatal(ds, err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.runMapper(t.Context(), 1)
		done <- err
	}()
	wait(t, started, "the call starts")
	if err := p.Release(t.Context(), []uint64{1, 77}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.runMapper(t.Context(), 1); err == nil {
		t.Error("a released instance takes calls")
	}
	if closed.Load() != 0 {
		t.Error("closed before the call has ended")
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	// The id is free, and an instance at rest is closed too.
	if ds, err := p.Configure(t.Context(), []Instance{mapperInstance(1, `{}`)}); err != nil || len(ds) > 0 {
		t.Error(ds, err)
	}
	if err := p.Release(t.Context(), []uint64{1}); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for closed.Load() < 2 && t.Context().Err() == nil {
			if _, err := p.Describe(t.Context(), ""); err != nil {
				return
			}
		}
	}()
	wait(t, gone, "both instances are closed")
}

// Who is told that an instance was released may end the process: what it gives back elsewhere is given back by then.
func TestReleaseWaitsForWhatIsClosed(t *testing.T) {
	t.Parallel()
	var closed atomic.Int32
	hold := make(chan struct{})
	p := startMapper(t, mapper{closed: &closed, hold: hold}, &fakeHost{})
	if ds, err := p.Configure(t.Context(), []Instance{mapperInstance(1, `{}`), mapperInstance(2, `{}`), mapperInstance(3, `{}`)}); err != nil || len(ds) > 0 {
		t.Fatal(ds, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Release(short, []uint64{1}); !errors.Is(err, context.DeadlineExceeded) || closed.Load() != 0 {
		t.Errorf("one that does not close: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { close(hold) })
	if err := p.Release(t.Context(), []uint64{2, 3}); err != nil || closed.Load() < 2 {
		t.Errorf("%d are closed: %v", closed.Load(), err)
	}
}

func TestSetupTravelsByKind(t *testing.T) {
	t.Parallel()
	full := sdk.Setup{
		Realm: "r", Issuer: "i", Audience: []string{"a"}, Tenant: "t", Store: "s",
		Environment: map[string]sdk.Secret{"K": sdk.NewSecret([]byte("v"))}, Unset: []string{"L"}, AuthenticationType: "SIGV4",
	}
	realm := sdk.Setup{Realm: "r", Issuer: "i", Audience: []string{"a"}}
	for k, want := range map[sdk.Kind]sdk.Setup{
		sdk.KindIdentityProvider: {Tenant: "t"}, sdk.KindPrincipalMapper: {Tenant: "t"}, sdk.KindPrincipalRolesMapper: {Tenant: "t"},
		sdk.KindAuthenticator: realm, sdk.KindTokenBroker: realm, sdk.KindActiveRolesProvider: {},
		sdk.KindSecretResolver:   {Store: "s", Environment: full.Environment, Unset: full.Unset},
		sdk.KindCredentialVendor: {AuthenticationType: "SIGV4"},
	} {
		if got := setupFromProto(scopeToProto(k, full)); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v, want %+v", k, got, want)
		}
	}
}

func TestManifest(t *testing.T) {
	t.Parallel()
	type impl = pluginv1.Implementation
	good := func() *pluginv1.Manifest {
		return &pluginv1.Manifest{Name: "n", Version: "1", Session: pluginv1.SessionMode_SESSION_MODE_LEGS, Implementations: []*impl{
			{Kind: pluginv1.Kind_KIND_TOKEN_BROKER, Type: "t", SettingsSchema: []byte(`{}`), Schemes: []string{"bearer"}, NeedsHttp: true, Cacheable: true,
				Abilities: []pluginv1.Ability{pluginv1.Ability_ABILITY_KEY_PUBLISHER, pluginv1.Ability_ABILITY_KEY_PUBLISHER, 99, 257, pluginv1.Ability_ABILITY_CHECKER},
				Wants:     []pluginv1.Want{pluginv1.Want_WANT_GRANTED_SECRETS, 0, -1, 99, 257, pluginv1.Want_WANT_GRANTED_SECRETS}},
		}}
	}
	m, err := manifestFromProto(good())
	want := Manifest{Name: "n", Version: "1", Session: SessionLegs, Offers: []Offer{{
		Kind: sdk.KindTokenBroker, Type: "t", SettingsSchema: []byte(`{}`), Schemes: []string{"bearer"}, NeedsHTTP: true, Cacheable: true,
		Abilities: []sdk.Ability{sdk.AbilityKeyPublisher, sdk.AbilityChecker}, Wants: []sdk.Want{sdk.WantGrantedSecrets},
	}}}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("%+v %v", m, err)
	}
	newer := good()
	newer.Implementations = append(newer.Implementations, &impl{Kind: 300, Type: "t"}, &impl{Kind: 9, Type: strings.Repeat("x", 100), Schemes: []string{"?"}})
	want.Unknown = []string{`kind 300, type "t"`, `kind 9, type "` + strings.Repeat("x", 64) + `"`}
	if m, err := manifestFromProto(newer); err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("of a newer plugin: %+v %v", m, err)
	}
	for want, change := range map[string]func(*pluginv1.Manifest){
		"the name":                   func(m *pluginv1.Manifest) { m.Name = "a b" },
		`the name ""`:                func(m *pluginv1.Manifest) { m.Name = "" },
		"not one line":               func(m *pluginv1.Manifest) { m.Build = "a\nb" },
		"the session mode 9":         func(m *pluginv1.Manifest) { m.Session = 9 },
		"nothing is offered":         func(m *pluginv1.Manifest) { m.Implementations = nil },
		"more than 256":              func(m *pluginv1.Manifest) { m.Implementations = make([]*impl, 300) },
		"the kind 0 is none":         func(m *pluginv1.Manifest) { m.Implementations[0].Kind = 0 },
		"the kind -1 is none":        func(m *pluginv1.Manifest) { m.Implementations[0].Kind = -1 },
		`only kind 300, type "t"`:    func(m *pluginv1.Manifest) { m.Implementations[0].Kind = 300 },
		"the type":                   func(m *pluginv1.Manifest) { m.Implementations[0].Type = "" },
		"offered twice":              func(m *pluginv1.Manifest) { m.Implementations = append(m.Implementations, m.Implementations[0]) },
		"is not a JSON object":       func(m *pluginv1.Manifest) { m.Implementations[0].SettingsSchema = []byte(`[]`) },
		"not a JSON object of":       func(m *pluginv1.Manifest) { m.Implementations[0].SettingsSchema = []byte(`{`) },
		"the scheme":                 func(m *pluginv1.Manifest) { m.Implementations[0].Schemes = []string{"Bearer"} },
		"cannot be a request-signer": func(m *pluginv1.Manifest) { m.Implementations[0].Abilities = []pluginv1.Ability{3} },
	} {
		m := good()
		change(m)
		if _, err := manifestFromProto(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := manifestFromProto(nil); err == nil {
		t.Error("no manifest at all is taken")
	}
	f := &fake{}
	twice := &Server{Name: "n", Version: "1", Implementations: append(f.offers(), f.offers()[0])}
	if err := twice.Register(grpc.NewServer()); err == nil || !strings.Contains(err.Error(), "identity-provider of type \"fake\" is offered twice") {
		t.Errorf("%v", err)
	}
}
