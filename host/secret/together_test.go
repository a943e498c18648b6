package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// turning is a store whose secrets are others each time that they are read.
type turning struct {
	reads atomic.Int64
	until time.Time
	asked sync.Map // by reference
}

func (s *turning) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	n := s.reads.Add(1)
	s.asked.Store(ref.String(), true)
	out := sdk.NewSecret(fmt.Appendf(nil, `{"user":"u%d","password":"p%d","n":%d}`, n, n, n))
	out.Version, out.CacheUntil = fmt.Sprint(n), s.until
	return out, nil
}

func newTurning(clock *time.Time) (*turning, *Service) {
	m := &turning{}
	s := New(func() time.Time { return *clock })
	s.SetStores([]Store{{Name: "m", Resolver: m}})
	return m, s
}

func (s *Service) text(ctx context.Context, t *testing.T, text string) string {
	t.Helper()
	v, err := s.Resolve(ctx, ref(t, "urn:realmgate-secret:m:"+text))
	if err != nil {
		t.Error(err)
	}
	return string(v.Reveal())
}

// A field that is asked for first while another one of the same secret is kept is of the same reading, and ends with it.
func TestFieldsAreOfOneReading(t *testing.T) {
	t.Parallel()
	clock := time.Unix(1000, 0)
	m, s := newTurning(&clock)
	ctx := t.Context()
	pair := func() string { return s.text(ctx, t, "x#user") + " " + s.text(ctx, t, "x#password") }
	if got := s.text(ctx, t, "x#user"); got != "u1" {
		t.Fatal(got)
	}
	clock = clock.Add(defaultLife - time.Second)
	if got := pair(); got != "u1 p1" {
		t.Errorf("after 29 seconds: %s", got)
	}
	clock = clock.Add(2 * time.Second)
	if got := s.text(ctx, t, "x#password") + " " + s.text(ctx, t, "x#user"); got != "p2 u2" {
		t.Errorf("after its life: %s", got)
	}
	if got := s.text(ctx, t, "x?=version=7#user") + " " + s.text(ctx, t, "x?=version=7#password") + " " + pair(); got != "u3 p3 u2 p2" {
		t.Errorf("a version is another secret: %s", got)
	}
	if got := s.text(ctx, t, "x"); got != `{"user":"u2","password":"p2","n":2}` || m.reads.Load() != 3 {
		t.Errorf("%s after %d reads", got, m.reads.Load())
	}
	m.asked.Range(func(at, _ any) bool {
		if strings.Contains(at.(string), "#") {
			t.Errorf("the store was asked for %s", at)
		}
		return true
	})
}

// Callers who want several fields at the same time have the store read once.
func TestFieldsAreFetchedOnce(t *testing.T) {
	t.Parallel()
	m := &memory{values: map[string]string{"x": `{"user":"u","password":"p"}`}, gate: make(chan struct{})}
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: m}})
	var all sync.WaitGroup
	for _, field := range []string{"user", "password", "user", "password"} {
		all.Go(func() {
			if got := s.text(t.Context(), t, "x#"+field); got != field[:1] {
				t.Errorf("%s: %q", field, got)
			}
		})
	}
	close(m.gate)
	all.Wait()
	if n := m.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// In one call two fields are of one reading, even if the secret's time is over in between, or it must not be kept at all.
func TestFieldsBelongTogether(t *testing.T) {
	t.Parallel()
	clock := time.Unix(1000, 0)
	m, s := newTurning(&clock)
	m.until = clock // not to be kept
	first, second := Together(t.Context()), Together(t.Context())
	inner, cancel := context.WithCancel(first)
	defer cancel()
	got := s.text(first, t, "x#user") + " " + s.text(second, t, "x#user")
	clock = clock.Add(time.Hour)
	got += " " + s.text(inner, t, "x#password") + " " + s.text(second, t, "x#password") + " " + s.text(t.Context(), t, "x#password")
	if got != "u1 u2 p1 p2 p3" {
		t.Error(got)
	}
	if got := s.text(first, t, "y#user") + " " + s.text(first, t, "x?=version=1#user"); got != "u4 u5" {
		t.Errorf("another secret, another version: %s", got)
	}
	if got := s.text(Together(first), t, "x#user"); got != "u6" {
		t.Errorf("a call within the call: %s", got)
	}
	s.SetStores([]Store{{Name: "m", Resolver: m}})
	if got := s.text(first, t, "x#user"); got != "u7" {
		t.Errorf("after a new configuration: %s", got)
	}
}

// Two fields that a call asks for at the same time are of one reading, also where the store was read for each.
func TestFieldsOfOneCallAtTheSameTime(t *testing.T) {
	t.Parallel()
	ctx, whole := Together(t.Context()), ref(t, "urn:realmgate-secret:m:x")
	var both, all sync.WaitGroup
	both.Add(2)
	var got [2]string
	for n := range got {
		all.Go(func() {
			v, err := together(ctx, nil, whole, func() (sdk.Secret, error) {
				both.Done()
				both.Wait() // each reads before the other one has read
				return sdk.NewSecret(fmt.Append(nil, n)), nil
			})
			if err != nil {
				t.Error(err)
			}
			got[n] = string(v.Reveal())
		})
	}
	all.Wait()
	if got[0] != got[1] {
		t.Errorf("%v", got)
	}
}

// What is given in a call must be granted each time: that it was read before opens nothing.
func TestGrantsHoldWithinACall(t *testing.T) {
	t.Parallel()
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: &turning{}, Grants: []Grant{{"a", "kv/a/"}}}})
	ctx := Together(t.Context())
	r := ref(t, "urn:realmgate-secret:m:kv/a/x#user")
	if _, err := s.ResolveGranted(ctx, "a", r); err != nil {
		t.Error(err)
	}
	if v, err := s.ResolveGranted(ctx, "b", r); err == nil {
		t.Errorf("realm b is given %q", v.Reveal())
	}
}

func TestFieldThatIsNotThere(t *testing.T) {
	t.Parallel()
	clock := time.Unix(1000, 0)
	m, s := newTurning(&clock)
	for field, want := range map[string]string{"none": `the secret has no field "none"`, "n": `the field "n" of the secret is not a string`} {
		v, err := s.Resolve(t.Context(), ref(t, "urn:realmgate-secret:m:x#"+field))
		if err == nil || err.Error() != "secret store m: urn:realmgate-secret:m:x#"+field+": "+want || v.Reveal() != nil {
			t.Errorf("%s: %q, %v", field, v.Reveal(), err)
		}
	}
	if m.reads.Load() != 1 {
		t.Errorf("%d reads", m.reads.Load())
	}
}

// Whatever a store says, the reference stands before it as it was given, with its field, and once.
func TestFaultsNameTheReference(t *testing.T) {
	t.Parallel()
	s := New(nil)
	m := away{errors.New("the server cannot be reached")}
	s.SetStores([]Store{{Name: "m", Resolver: m, Writer: m, Grants: []Grant{{"a", "kv/"}}}})
	pinned, whole := ref(t, "urn:realmgate-secret:m:kv/x?=version=2#f"), ref(t, "urn:realmgate-secret:m:kv/x")
	_, read := s.Resolve(t.Context(), pinned)
	_, granted := s.ResolveGranted(t.Context(), "a", pinned)
	_, write := s.Write(t.Context(), whole, nil)
	_, denied := s.Write(t.Context(), pinned, nil)
	for what, x := range map[string]struct {
		err  error
		want string
	}{
		"read": {read, "kv/x?=version=2#f: the server cannot be reached"}, "granted": {granted, "kv/x?=version=2#f: the server cannot be reached"},
		"write": {write, "kv/x: the server cannot be reached"}, "delete": {s.Delete(t.Context(), whole), "kv/x: the server cannot be reached"},
		"pinned": {denied, "kv/x?=version=2#f: " + ErrPinned.Error()},
	} {
		if want := "secret store m: urn:realmgate-secret:m:" + x.want; x.err == nil || x.err.Error() != want {
			t.Errorf("%s: %v, want %s", what, x.err, want)
		}
	}
}

// away is a store that only fails.
type away struct{ err error }

func (a away) Resolve(context.Context, sdk.SecretRef) (sdk.Secret, error) { return sdk.Secret{}, a.err }

func (a away) WriteSecret(context.Context, sdk.SecretRef, []byte) (string, error) { return "", a.err }

func (a away) DeleteSecret(context.Context, sdk.SecretRef) error { return a.err }
