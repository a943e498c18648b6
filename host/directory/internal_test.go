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

func TestEpochsNeverGoBack(t *testing.T) {
	t.Parallel()
	var e epochs
	var wg sync.WaitGroup
	for i := range uint64(100) {
		wg.Go(func() { e.raise("r", 100-i) })
	}
	wg.Wait()
	e.raise("r", 7)
	if got := e.get("r"); got != 100 {
		t.Errorf("%d", got)
	}
}

// TestRefreshNeverLowers: an epoch that is behind, as after a backup was restored, does not lower the one in memory.
func TestRefreshNeverLowers(t *testing.T) {
	t.Parallel()
	d := openTest(t)
	if _, err := d.MoveEpoch(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	d.epochs.raise("r", 50)
	if err := d.Refresh(t.Context()); err != nil || d.Epoch("r") != public(50) {
		t.Errorf("%d %v", d.Epoch("r"), err)
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
	d.epochs.raise("r", d.Epoch("r")+1)
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
