package catalog

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// modeVariable makes the test binary a plugin of some kind.
const modeVariable = "CATALOG_TEST_MODE"

// With the race detector a process would sleep for a second at its end.
const (
	raceVariable = "GORACE"
	hurry        = "atexit_sleep_ms=50"
)

func TestMain(m *testing.M) {
	child.Main()
	if mode := os.Getenv(modeVariable); mode != "" {
		runPlugin(mode)
		return
	}
	// The tests wait for processes more than they compute; -parallel still counts.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// printJunk is what a constructor of the plugin "junk" prints, behind the handshake.
var printJunk = func() {}

func runPlugin(mode string) {
	rawOut, rawErr := os.Stdout, os.Stderr // go-plugin puts its own in their place
	good := serve.Config{Name: "good", Version: "1.2.3", Build: "test", Implementations: implementations("badge")}
	if ran := os.Getenv("RAN"); ran != "" {
		_ = os.WriteFile(ran, nil, 0o600)
	}
	switch mode {
	case "good":
	case "unary":
		good.UnaryOnly = true
	case "other":
		good.Implementations = implementations("other")
	case "clash":
		good.Implementations = []sdk.Implementation{sdk.PrincipalMapperType("badge", newPart)}
	case "changes": // the second process offers something else
		if _, err := os.Stat(os.Getenv("MARK")); err == nil {
			good.Implementations = implementations("other")
		}
		_ = os.WriteFile(os.Getenv("MARK"), nil, 0o600)
	case "once": // only the first process gets anywhere
		if _, err := os.Stat(os.Getenv("MARK")); err == nil {
			os.Exit(4)
		}
		_ = os.WriteFile(os.Getenv("MARK"), nil, 0o600)
	case "gated": // nothing starts while there is a mark
		if _, err := os.Stat(os.Getenv("MARK")); err == nil {
			os.Exit(4)
		}
	case "text":
		fmt.Println("hello\x1b[31m, client_secret=hunter2")
		time.Sleep(time.Hour)
	case "exit":
		say(rawErr, "no configuration found")
		os.Exit(3)
	case "silent":
		say(rawErr, "waiting for a license")
		time.Sleep(time.Hour)
	case "old":
		fmt.Println("1|7|unix|/nowhere|grpc|")
		time.Sleep(time.Hour)
	case "mute", "empty", "slow", "deaf":
		servePlain(mode)
		return
	case "late":
		serveLate()
		return
	case "cuts":
		serveCut()
		return
	case "junk":
		go func() { // the pipes that the host reads itself, before and after the handshake
			for range 10 {
				say(rawErr, `{"@message":1}`)
				say(rawErr, `{"@level":"info","@message":"x","@timestamp":{}}`)
				say(rawErr, strings.Repeat("x", 300<<10))
				say(rawErr, "\x1b[2J\x00\xff")
				time.Sleep(time.Millisecond)
			}
		}()
		printJunk = func() {
			for range 4 { // each line is more than a pipe and a scanner hold
				say(rawOut, strings.Repeat("y", 300<<10))
				fmt.Println(strings.Repeat("z", 300<<10))
			}
		}
	case "logs":
		say(rawErr, `{"@level":"warn","@message":"token=abcdef123 is old","@module":"m","client_secret":"hunter2","n":7,"plugin":"forged"}`)
		say(rawErr, "plain Authorization: Bearer abcdefghijkl")
		for _, e := range os.Environ() {
			name, _, _ := strings.Cut(e, "=")
			say(rawErr, "environment", name)
		}
		say(rawErr, "arguments", os.Args[1:])
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		serve.Run(good)
		time.Sleep(time.Hour)
	case "parent":
		grandchild := exec.Command("/bin/sleep", "3600")
		grandchild.Stdout, grandchild.Stderr = rawOut, rawErr
		_ = grandchild.Start()
		_ = os.WriteFile(os.Getenv("MARK"), fmt.Append(nil, grandchild.Process.Pid), 0o600)
	}
	os.Exit(serve.Run(good))
}

func say(w io.Writer, args ...any) { _, _ = fmt.Fprintln(w, args...) }

// fakeDirectory knows one principal, in realm r1.
type fakeDirectory struct{}

func (fakeDirectory) FindPrincipal(_ context.Context, realm string, ref sdk.PrincipalRef) (sdk.Principal, error) {
	if realm != "r1" || ref.Name != "alice" {
		return sdk.Principal{}, sdk.Forbid("principal_unknown", "there is no such principal")
	}
	return sdk.Principal{Realm: realm, ID: "42", Name: "alice", Enabled: true}, nil
}

func (fakeDirectory) Epoch(string) uint64 { return 1 }

// FindAccessKey knows one key, in realm r1.
func (fakeDirectory) FindAccessKey(_ context.Context, realm, id string) (sdk.AccessKey, error) {
	if realm != "r1" || id != "RGAK" {
		return sdk.AccessKey{}, sdk.Deny("access_key_unknown", "there is no such key")
	}
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:store:granted/key")
	return sdk.AccessKey{ID: id, Principal: sdk.PrincipalRef{ID: "42"}, Enabled: true, Secret: ref}, err
}

// fakeSecrets resolves what the operator wrote, and what lies under "granted" for realm r1.
type fakeSecrets struct {
	mu    sync.Mutex
	asked []string
	fail  bool
}

func (s *fakeSecrets) say(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, fmt.Sprintf(format, args...))
	if s.fail {
		return errors.New("the store is down")
	}
	return nil
}

func (s *fakeSecrets) setFail(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *fakeSecrets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *fakeSecrets) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	return sdk.NewSecret([]byte("operator " + ref.Path())), s.say("operator %s", ref.Path())
}

func (s *fakeSecrets) ResolveGranted(_ context.Context, realm string, ref sdk.SecretRef) (sdk.Secret, error) {
	if realm != "r1" || !strings.HasPrefix(ref.Path(), "granted/") {
		return sdk.Secret{}, errors.New("not granted")
	}
	return sdk.NewSecret([]byte("granted " + ref.Path())), s.say("granted %s", ref.Path())
}

// secondSecrets are those of another generation.
type secondSecrets struct{}

func (secondSecrets) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	return sdk.NewSecret([]byte("second " + ref.Path())), nil
}

func (secondSecrets) ResolveGranted(_ context.Context, _ string, ref sdk.SecretRef) (sdk.Secret, error) {
	return sdk.NewSecret([]byte("second " + ref.Path())), nil
}

// source has no limit of memory: the race detector uses terabytes of what is never touched. Nor has it TLS, whose keys would take
// most of the time of the tests; see secured.
func source(t *testing.T, name, mode string) Source {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Source{Name: name, Grants: Grants{Wanted: true}, Program: child.Program{Path: self, Limits: child.Limits{Memory: child.Unlimited}, Env: map[string]string{modeVariable: mode, raceVariable: hurry}}}
}

// secured is source with TLS, as plugins have it that do not say otherwise.
func secured(t *testing.T, name, mode string) Source {
	t.Helper()
	s := source(t, name, mode)
	s.TLS = true
	return s
}

type world struct {
	*Catalog
	*Set    // of the sources
	secrets *fakeSecrets
	log     *capture.Buffer
	runtime string // directory
}

// sockets lists the socket directories of processes.
func (w *world) sockets(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.runtime, "rg*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.IsDir()
	})
}

// newWorld makes a catalog with the sources started. At the end of the test nothing of it may be left.
func newWorld(t *testing.T, change func(*Options), sources ...Source) *world {
	t.Helper()
	w := &world{secrets: &fakeSecrets{}, log: &capture.Buffer{}}
	o := Options{Version: "test", Directory: fakeDirectory{}, AccessKeys: fakeDirectory{}, Secrets: w.secrets,
		StartTimeout: 30 * time.Second, DescribeTimeout: 20 * time.Second, ConfigureTimeout: 20 * time.Second,
		Logger: hclog.New(&hclog.LoggerOptions{Output: w.log, Level: hclog.Debug, JSONFormat: true})}
	if change != nil {
		change(&o)
	}
	var err error
	if w.runtime, err = os.MkdirTemp("", "c"); err != nil { // t.TempDir is too long for a socket
		t.Fatal(err)
	}
	o.RuntimeDir = w.runtime
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Catalog = c
	w.Set = c.Prepare(t.Context(), sources)
	t.Cleanup(func() {
		pids := c.pids()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := os.Remove(w.runtime); err != nil {
			t.Errorf("something is left: %v", err)
		}
		for _, pid := range pids {
			if alive(pid) {
				t.Errorf("process %d is left", pid)
			}
		}
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

// Close ends the catalog.
func (w *world) Close(ctx context.Context) error { return w.Catalog.Close(ctx) }

func (c *Catalog) pids() (out []int) {
	for _, s := range c.Plugins() {
		if s.PID != 0 {
			out = append(out, s.PID)
		}
	}
	return out
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

// suspend stops a process and waits until none of its threads runs: the signal alone does not wait for them.
func suspend(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is stopped", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // none where there is no /proc
		return !slices.ContainsFunc(threads, func(name string) bool {
			text, err := os.ReadFile(name)
			return err == nil && !strings.Contains(string(text), ") T ")
		})
	})
}

// mapper configures a principal mapper of type badge.
func (w *world) mapper(t *testing.T, do string, refs ...string) Handle {
	t.Helper()
	return w.mapperOf(t, "badge", do, refs...)
}

func (w *world) mapperOf(t *testing.T, typ, do string, refs ...string) Handle {
	t.Helper()
	in := Instance{Kind: sdk.KindPrincipalMapper, Type: typ, Settings: fmt.Appendf(nil, `{"do":%q}`, do), Setup: sdk.Setup{Tenant: "t"}}
	for _, r := range refs {
		ref, err := sdk.ParseSecretRef(r)
		if err != nil {
			t.Fatal(err)
		}
		in.Refs = append(in.Refs, ref)
		in.Settings = fmt.Appendf(nil, `{"do":%q,"key":%q}`, do, r)
	}
	hs, ds := w.Configure(t.Context(), []Instance{in})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	return hs[0]
}

const login = "urn:realmgate-secret:ops:login"

// early is a principal mapper whose constructor resolves a secret.
func early(do string) Instance {
	ref, _ := sdk.ParseSecretRef(login)
	return Instance{Kind: sdk.KindPrincipalMapper, Type: "badge", Refs: []sdk.SecretRef{ref},
		Settings: fmt.Appendf(nil, `{"do":%q,"key":%q,"early":true}`, do, login)}
}

// mapSubject runs a leg of one mapper.
func (w *world) mapSubject(t *testing.T, h Handle, realm, subject string) (sdk.PrincipalRef, error) {
	t.Helper()
	l, err := w.Leg("r1", []Handle{h})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	st := &sdk.State{Request: &sdk.Request{Realm: realm}, Identity: &sdk.Identity{Subject: subject}}
	if err := l.Run(ctx, st); err != nil {
		return sdk.PrincipalRef{}, err
	}
	return *st.Ref, nil
}
