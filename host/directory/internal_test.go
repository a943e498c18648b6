package directory

import (
	"crypto/subtle"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func openTest(tb testing.TB) *Directory {
	tb.Helper()
	d, err := Open(tb.Context(), Config{Type: TypeSQLite, Path: filepath.Join(tb.TempDir(), "directory.db")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

// TestAuthenticateDoesTheSameWork counts comparisons: their number must tell nothing about the client.
func TestAuthenticateDoesTheSameWork(t *testing.T) {
	t.Parallel()
	d := openTest(t)
	ctx := t.Context()
	one, oneSecret, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	two, twoSecret, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "two"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.RotateSecret(ctx, "r", "two"); err != nil {
		t.Fatal(err)
	}
	none, _, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "none", WithoutSecret: true})
	if err != nil {
		t.Fatal(err)
	}
	off, offSecret, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "off"})
	if err != nil {
		t.Fatal(err)
	}
	disabled := false
	if _, err := d.UpdatePrincipal(ctx, "r", "off", Update{Enabled: &disabled}); err != nil {
		t.Fatal(err)
	}
	var lengths []int
	d.equal = func(x, y []byte) int {
		lengths = append(lengths, len(x), len(y))
		return subtle.ConstantTimeCompare(x, y)
	}
	for _, tt := range []struct {
		name, client string
		secret       sdk.Secret
		good         bool
	}{
		{"one secret, right", one.ClientID, oneSecret.Secret, true},
		{"one secret, wrong", one.ClientID, twoSecret.Secret, false},
		{"two secrets, right", two.ClientID, twoSecret.Secret, true},
		{"two secrets, wrong", two.ClientID, oneSecret.Secret, false},
		{"no secret", none.ClientID, oneSecret.Secret, false},
		{"disabled", off.ClientID, offSecret.Secret, false},
		{"unknown", "ffffffffffffffffffffffffffffffff", oneSecret.Secret, false},
		{"impossible", "\x00", oneSecret.Secret, false},
	} {
		lengths = nil
		_, _, err := d.Authenticate(ctx, "r", tt.client, string(tt.secret.Reveal()))
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(lengths) != 4 || lengths[0] != 32 || lengths[1] != 32 || lengths[2] != 32 || lengths[3] != 32 {
			t.Errorf("%s: comparisons of %v bytes", tt.name, lengths)
		}
	}
}

// TestAuthenticateReadsTheRecordLast: what is kept of a principal takes its time to read, so it is read after the secret was
// the right one. It is made unreadable here: who reads it fails otherwise than with bad credentials.
func TestAuthenticateReadsTheRecordLast(t *testing.T) {
	t.Parallel()
	d := openTest(t)
	ctx := t.Context()
	p, s, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.write.ExecContext(ctx, "UPDATE principals SET attributes = '{'"); err != nil {
		t.Fatal(err)
	}
	login := func(client, secret string) error {
		_, _, err := d.Authenticate(ctx, "r", client, secret)
		return err
	}
	if err := login(p.ClientID, "wrong"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("wrong secret: %v", err)
	}
	if err := login(p.ClientID, string(s.Secret.Reveal())); err == nil || errors.Is(err, ErrBadCredentials) {
		t.Errorf("right secret: %v", err)
	}
	if _, err := d.write.ExecContext(ctx, "UPDATE principals SET enabled = ?", false); err != nil {
		t.Fatal(err)
	}
	if err := login(p.ClientID, string(s.Secret.Reveal())); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("disabled: %v", err)
	}
}

// TestPlaceholderNeverMatches: what stands in for a missing secret lets nobody in, whatever the comparison says.
func TestPlaceholderNeverMatches(t *testing.T) {
	t.Parallel()
	d := &Directory{equal: func(_, _ []byte) int { return 1 }}
	if v, ok := d.match(nil, "x"); ok || v != "" {
		t.Errorf("%q %v", v, ok)
	}
}

// TestEpochsOnlyGoUp: whatever the store's counts do, and in whichever order they are reported, one that is not the last one
// moves, and so does each own change.
func TestEpochsOnlyGoUp(t *testing.T) {
	t.Parallel()
	var e epochs
	var wg sync.WaitGroup
	for i := range uint64(100) {
		wg.Go(func() { e.changed("r", 100-i) })
	}
	wg.Wait()
	if got := e.get("r"); got != 100 {
		t.Errorf("%d", got)
	}
	for i, step := range []struct {
		name string
		do   func()
		move uint64
	}{
		{"another count", func() { e.saw("r", 1000) }, 1},
		{"the same", func() { e.saw("r", 1000) }, 0},
		{"one that is behind", func() { e.saw("r", 7) }, 1},
		{"an own change to what was seen", func() { e.changed("r", 7) }, 1},
		{"the count of all", func() { e.sawAll(map[string]uint64{"r": 7, "s": 1}) }, 0},
		{"a realm that is gone", func() { e.sawAll(map[string]uint64{"s": 1}) }, 1},
		{"and stays so", func() { e.sawAll(map[string]uint64{"s": 1}) }, 0},
		{"everything", func() { e.every.Add(1) }, 1},
	} {
		before := e.get("r")
		if step.do(); e.get("r") != before+step.move {
			t.Errorf("%d, %s: %d after %d", i, step.name, e.get("r"), before)
		}
	}
}

// TestRestoredStore: after an older copy of the store was put in its place, what is changed there is seen, by the node that
// changes it and by another one, however far the counts are behind.
func TestRestoredStore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "d", "realmgate.db")
	open := func() *Directory {
		d, err := Open(ctx, Config{Type: TypeSQLite, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	d, other := open(), open()
	if _, _, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := d.MoveEpoch(ctx, "r"); err != nil {
			t.Fatal(err)
		}
	}
	look := func(d *Directory, enabled bool, what string) {
		t.Helper()
		if p, err := d.lookup(ctx, "r", false, "a"); err != nil || p == nil || p.Enabled != enabled {
			t.Errorf("%s: %+v %v", what, p, err)
		}
	}
	refresh := func() {
		for _, x := range []*Directory{d, other} {
			if err := x.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
			look(x, true, "before")
		}
	}
	refresh()
	seen := d.Epoch("r")
	if _, err := d.write.ExecContext(ctx, "UPDATE realms SET epoch = 5"); err != nil {
		t.Fatal(err)
	}
	refresh()
	if e := d.Epoch("r"); e <= seen {
		t.Errorf("the epoch is %d after %d", e, seen)
	}
	off := false
	if _, err := d.UpdatePrincipal(ctx, "r", "a", Update{Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	look(d, false, "the node that made the change")
	if err := other.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	look(other, false, "another node")

	// What no count shows ends with time, and at once when an operator wants it.
	passed := time.Duration(0)
	other.followed.Store(false)
	other.now = func() time.Time { return time.Now().Add(passed) }
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"reload", other.Forget},
		{"a minute", func() { passed += cacheLife }},
	} {
		for _, enabled := range []bool{true, false} {
			if _, err := d.write.ExecContext(ctx, "UPDATE principals SET enabled = ?", enabled); err != nil {
				t.Fatal(err)
			}
			look(other, !enabled, "before: "+step.what)
			step.do()
			look(other, enabled, step.what)
		}
	}
}

func TestRebind(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "a": "a", "a = ? AND b = ?": "a = $1 AND b = $2", "?": "$1"} {
		if got := postgresDialect.rebind(in); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := sqliteDialect.rebind(in); got != in {
			t.Errorf("%q", got)
		}
	}
}

// TestCacheServesDecisions: in the path of a decision the store is asked once per epoch.
func TestCacheServesDecisions(t *testing.T) {
	t.Parallel()
	d := openTest(t)
	ctx := t.Context()
	p, s, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	ref := sdk.PrincipalRef{ID: p.ID, Name: p.Name}
	c := sdk.Credential{Realm: "r", Source: sdk.SourceInternal, Principal: ref, SecretVersion: s.Version, TokenID: "t"}
	check := func() error {
		found, err := d.FindPrincipal(ctx, "r", ref)
		if err != nil {
			return err
		}
		_, unknown := d.FindPrincipal(ctx, "r", sdk.PrincipalRef{Name: "nobody"})
		if sdk.AsDenial(unknown) == nil {
			return unknown
		}
		return d.CheckStanding(ctx, c, found)
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	if err := d.read.Close(); err != nil {
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Errorf("the store was asked again: %v", err)
	}
	d.epochs.changed("r", 2)
	if err := check(); err == nil || sdk.AsDenial(err) != nil {
		t.Errorf("the store was not asked in a new epoch: %v", err)
	}
}

// TestStaleAnswersAreNotKept: what was answered while other nodes' changes were not known never comes back, even if they
// become known while somebody asks.
func TestStaleAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	d := openTest(t)
	ctx := t.Context()
	if err := d.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	fresh := *d.loaded.Load()
	late := fresh.Add(2 * maxStale)
	ask := func() (found, revoked bool) {
		t.Helper()
		p, err := d.lookup(ctx, "r", false, "a")
		if err != nil {
			t.Fatal(err)
		}
		revoked, err = d.isRevoked(ctx, "r", "i", "t")
		if err != nil {
			t.Fatal(err)
		}
		return p != nil, revoked
	}
	d.now = func() time.Time { return late }
	if found, revoked := ask(); found || revoked {
		t.Fatal(found, revoked)
	}
	if _, _, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := d.RevokeToken(ctx, "r", "i", "t", time.Time{}); err != nil {
		t.Fatal(err)
	}
	d.loaded.Store(&fresh)
	n := 0
	d.now = func() time.Time { // somebody refreshes after the first look at the clock of each question
		if n++; n%2 == 1 {
			return late
		}
		return fresh
	}
	p, err := d.lookup(ctx, "r", false, "a")
	n = 0
	revoked, err2 := d.isRevoked(ctx, "r", "i", "t")
	if p == nil || !revoked || err != nil || err2 != nil {
		t.Errorf("%v %v %v %v", p, revoked, err, err2)
	}
}

func BenchmarkFindPrincipal(b *testing.B) {
	d := openTest(b)
	ctx := b.Context()
	roles := []string{"a", "b", "c"}
	for _, r := range roles {
		if _, err := d.CreateRole(ctx, "r", r, nil); err != nil {
			b.Fatal(err)
		}
	}
	p, _, err := d.CreatePrincipal(ctx, "r", NewPrincipal{Name: "a", Roles: roles})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.FindPrincipal(ctx, "r", sdk.PrincipalRef{ID: p.ID, Name: "a"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("uncached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.lookupStored(ctx, principalKey{realm: "r", byID: true, value: p.ID}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
