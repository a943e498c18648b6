package secret

import (
	"context"
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

func (s *Service) text(t *testing.T, ctx context.Context, text string) string {
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
	pair := func() string { return s.text(t, ctx, "x#user") + " " + s.text(t, ctx, "x#password") }
	if got := s.text(t, ctx, "x#user"); got != "u1" {
		t.Fatal(got)
	}
	clock = clock.Add(defaultLife - time.Second)
	if got := pair(); got != "u1 p1" {
		t.Errorf("after 29 seconds: %s", got)
	}
	clock = clock.Add(2 * time.Second)
	if got := s.text(t, ctx, "x#password") + " " + s.text(t, ctx, "x#user"); got != "p2 u2" {
		t.Errorf("after its life: %s", got)
	}
	if got := s.text(t, ctx, "x?=version=7#user") + " " + s.text(t, ctx, "x?=version=7#password") + " " + pair(); got != "u3 p3 u2 p2" {
		t.Errorf("a version is another secret: %s", got)
	}
	if got := s.text(t, ctx, "x"); got != `{"user":"u2","password":"p2","n":2}` || m.reads.Load() != 3 {
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
			if got := s.text(t, t.Context(), "x#"+field); got != field[:1] {
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
	got := s.text(t, first, "x#user") + " " + s.text(t, second, "x#user")
	clock = clock.Add(time.Hour)
	got += " " + s.text(t, inner, "x#password") + " " + s.text(t, second, "x#password") + " " + s.text(t, t.Context(), "x#password")
	if got != "u1 u2 p1 p2 p3" {
		t.Error(got)
	}
	if got := s.text(t, first, "y#user") + " " + s.text(t, first, "x?=version=1#user"); got != "u4 u5" {
		t.Errorf("another secret, another version: %s", got)
	}
	if got := s.text(t, Together(first), "x#user"); got != "u6" {
		t.Errorf("a call within the call: %s", got)
	}
	s.SetStores([]Store{{Name: "m", Resolver: m}})
	if got := s.text(t, first, "x#user"); got != "u7" {
		t.Errorf("after a new configuration: %s", got)
	}
	// Two at a time.
	third := Together(t.Context())
	users, passwords := make([]string, 8), make([]string, 8)
	var all sync.WaitGroup
	for n := range users {
		all.Go(func() { users[n] = s.text(t, third, "z#user") })
		all.Go(func() { passwords[n] = s.text(t, third, "z#password") })
	}
	all.Wait()
	for n := range users {
		if users[n] != users[0] || passwords[n] != "p"+users[0][1:] {
			t.Fatalf("%v %v", users, passwords)
		}
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
