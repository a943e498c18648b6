package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/origin"
	"github.com/realmgate/realmgate/sdk"
)

// lines reads a log; every line has to be whole, but those that are empty or that torn says.
func lines(t *testing.T, text []byte, torn int) []map[string]any {
	t.Helper()
	var out []map[string]any
	sc := bufio.NewScanner(bytes.NewReader(text))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var m map[string]any
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			if torn--; torn < 0 {
				t.Errorf("not a JSON object: %q", sc.Text())
			}
			continue
		}
		out = append(out, m)
	}
	return out
}

func open(t *testing.T, c Config) *Log {
	t.Helper()
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := open(t, Config{Path: Stdout, Stdout: &out, Now: func() time.Time { return time.Unix(1_800_000_000, 5000).In(time.FixedZone("x", 3600)) }})
	ctx := sdk.WithRequestID(t.Context(), "request-1")
	ctx = origin.With(ctx, origin.Origin{Listener: "main", Peer: "10.0.0.1:5", Client: netip.MustParseAddr("2001:db8::1")})
	e := Event{
		Name: TokenIssue, Outcome: Done, Realm: "r", PrincipalID: "7", Principal: "al\"ice\n{\"event\":\"forged\"}", TokenID: "t", Scope: "a <b>", SecretVersion: "3",
	}
	if err := l.Record(ctx, e.Client("c1", true)); err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2027-01-15T08:00:00.000005Z","request_id":"request-1","listener":"main","client":"2001:db8::1","peer":"10.0.0.1:5",` +
		`"event":"token.issue","outcome":"done","realm":"r","client_id":"c1","principal_id":"7",` +
		`"principal":"al\"ice\n{\"event\":\"forged\"}","token_id":"t","scope":"a <b>","secret_version":"3"}` + "\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", &out, want)
	}
}

// An id that the realm does not know may be a secret that somebody sent in its place.
func TestUnknownClientIsHashed(t *testing.T) {
	t.Parallel()
	e := Event{}.Client("hunter2", false)
	if e.ClientID != "" || e.ClientHash != "sha256:f52fbd32b2b3b86f" {
		t.Errorf("%+v", e)
	}
	if e := (Event{}).Client("", false); e != (Event{}) {
		t.Errorf("%+v", e)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := open(t, Config{Path: Stdout, Stdout: &out})
	huge := strings.Repeat("é", 1<<20)
	if err := l.Record(origin.With(t.Context(), origin.Origin{Peer: huge}), Event{Name: huge, Outcome: huge, Realm: huge, ClientID: "\xff" + huge, Principal: huge, Scope: huge, Detail: huge}); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 32<<10 || len(lines(t, out.Bytes(), 0)) != 1 {
		t.Errorf("a line of %d bytes", out.Len())
	}
}

func TestNone(t *testing.T) {
	t.Parallel()
	l, err := Open(Config{Refuse: true})
	if l != nil || err != nil {
		t.Fatal(l, err)
	}
	done := false
	if err := errors.Join(l.Record(t.Context(), Event{}), l.Around(t.Context(), Event{}, func() error { done = true; return nil }, nil), l.Close()); err != nil || !done {
		t.Error(err, done)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "audit.log")
	for range 2 { // a second start appends
		l := open(t, Config{Path: path})
		if err := l.Record(t.Context(), Event{Name: RoleCreate}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || len(lines(t, text, 0)) != 2 {
		t.Fatalf("%v %q", err, text)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", p, info.Mode(), err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, mode := range []os.FileMode{0o604, 0o602, 0o620, 0o601, 0o640} {
		path := filepath.Join(dir, fmt.Sprintf("%o", mode))
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		l, err := Open(Config{Path: path})
		if good := mode == 0o640; (err == nil) != good {
			t.Errorf("mode %o: %v", mode, err)
		}
		_ = l.Close()
	}
	for _, path := range []string{dir, filepath.Join(dir, "604", "x")} {
		if _, err := Open(Config{Path: path}); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l := open(t, Config{Path: path, MaxSizeMB: 1, MaxBackups: 2, Compress: true})
	e := Event{Name: TokenIssue, Detail: strings.Repeat("x", maxValue)}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1500 { // 6,000 lines of more than 1 KiB
				if err := l.Record(t.Context(), e); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		names, err := filepath.Glob(filepath.Join(dir, "audit*[gz]")) // not the lock
		if err != nil {
			t.Fatal(err)
		}
		zipped := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasSuffix(n, ".gz") })
		if len(names) == 3 && len(zipped) == 2 {
			for _, n := range names {
				if info, err := os.Stat(n); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v %v", n, info.Mode(), err)
				}
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("files: %v", names)
		}
	}
}

// failing refuses to write while full is set, after half of the line.
type failing struct {
	bytes.Buffer
	full bool
}

func (f *failing) Write(p []byte) (int, error) {
	if f.full {
		n, _ := f.Buffer.Write(p[:len(p)/2])
		return n, errors.New("disk full")
	}
	return f.Buffer.Write(p)
}

func TestAround(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{true, false} {
		out := &failing{full: true}
		l := open(t, Config{Path: Stdout, Stdout: out, Refuse: refuse})
		done := false
		change := func() error { done = true; return nil }
		err := l.Around(t.Context(), Event{Name: RoleGrant}, change, nil)
		if refuse != errors.Is(err, ErrUnwritten) || done == refuse {
			t.Errorf("refuse %v: error %v, changed %v", refuse, err, done)
		}
		out.full = false
		err = l.Around(t.Context(), Event{Name: SecretRotate}, change, func(e *Event) { e.SecretVersion = "2" })
		if err != nil || !done {
			t.Errorf("after the disk had room again: %v %v", err, done)
		}
		var got []string
		torn := 1
		if !refuse {
			torn = 2
		}
		for _, m := range lines(t, out.Bytes(), torn) {
			got = append(got, fmt.Sprint(m["event"], m["outcome"], m["secret_version"]))
		}
		if want := []string{"secret.rotateattempted<nil>", "secret.rotatedone2"}; !slices.Equal(got, want) {
			t.Errorf("refuse %v: %v, want %v", refuse, got, want)
		}
	}
}

// A change whose caller has gone is told about as well as one that failed.
func TestAroundTellsTheOutcome(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := open(t, Config{Path: Stdout, Stdout: &out, Refuse: true})
	ctx, cancel := context.WithCancel(t.Context())
	fault := errors.New("there is no such role")
	err := l.Around(ctx, Event{Name: RoleGrant}, func() error { cancel(); return fault }, func(*Event) { t.Error("described") })
	got := lines(t, out.Bytes(), 0)
	if !errors.Is(err, fault) || len(got) != 2 || got[0]["outcome"] != Attempted || got[1]["outcome"] != Failed || got[1]["detail"] != fault.Error() {
		t.Errorf("%v %v", err, got)
	}
}
