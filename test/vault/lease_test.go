package vault

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/secrets"
	"github.com/realmgate/realmgate/sdk"
)

// narrow makes a token with a policy of its own and nothing else, not even the default policy.
func (d *database) narrow(t *testing.T, name, policy string) string {
	t.Helper()
	d.Policy(t, name, policy)
	return d.NewToken(t, map[string]any{"policies": []string{name}, "no_default_policy": true, "ttl": "1h"})
}

const (
	mayRead   = `path "database/creds/*" { capabilities = ["read"] }` + "\n"
	mayRenew  = `path "sys/leases/renew" { capabilities = ["update"] }` + "\n"
	mayRevoke = `path "sys/leases/revoke" { capabilities = ["update"] }` + "\n"
)

// What a former login got is given back with the store, too, whose token lives on.
func TestLeasesOfAFormerLogin(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "r", "1h", "2h")
	file := filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		t.Helper()
		fresh := file + ".new"
		if err := errors.Join(os.WriteFile(fresh, []byte(token), 0o600), os.Rename(fresh, file)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := d.narrow(t, "one", mayRead+mayRevoke), d.narrow(t, "two", mayRead+mayRevoke)
	put(first)
	st := d.newStore(t, d.base().with(settings{"token_file": file}))
	former := d.user(t, st, "r")
	put(second)
	now := ""
	eventually(t, "another login has another lease", func() bool { now = d.user(t, st, "r"); return now != former })
	if !d.exists(t, former) {
		t.Fatal("the former lease is gone before its time: others may use it")
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	for what, user := range map[string]string{"the former": former, "the present": now} {
		if d.exists(t, user) {
			t.Errorf("%s login's lease outlives the store", what)
		}
	}
	for _, token := range []string{first, second} {
		if status := d.Status(t, http.MethodGet, "database/creds/r", token); status != http.StatusOK {
			t.Errorf("a token of somebody else's was revoked: %d", status)
		}
	}
}

// What the server makes while the store is being released is revoked with the rest.
func TestReleaseWhileASecretIsMade(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "late", "1h", "2h")
	b := newBetween(t, d.world, nil)
	st := d.newStore(t, d.asRoot().with(settings{"address": b.URL}))
	h := b.hold(http.MethodGet, "database/creds/late")
	made := make(chan string, 1)
	go func() {
		s, _ := st.Resolve(d.ctx, ref("s:database/creds/late"))
		s, _ = s.Field("username")
		made <- string(s.Reveal())
	}()
	<-h.came // the user is there, and the store does not know it yet
	closed := make(chan error, 1)
	go func() { closed <- st.Close() }()
	eventually(t, "the store takes no more questions", func() bool {
		ctx, cancel := context.WithTimeout(d.ctx, 20*time.Millisecond)
		defer cancel()
		_, err := st.Resolve(ctx, ref("s:database/creds/other"))
		return err != nil && strings.Contains(err.Error(), "the store was released")
	})
	close(h.release)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if user := <-made; user == "" || d.exists(t, user) {
		t.Errorf("the user %q outlives the store", user)
	}
}

// leaving is a host whose call ends while it is asked.
type leaving struct {
	sdk.Host
	asked chan struct{}
}

func (l leaving) ResolveSecret(ctx context.Context, _ sdk.SecretRef) (sdk.Secret, error) {
	close(l.asked)
	<-ctx.Done()
	return sdk.Secret{}, errors.New("the call that the host is asked for has ended")
}

// Who waits for a lease is not hurt when the one leaves in whose course the login was asked for.
func TestWhoWaitsForALeaseIsNotHurt(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "r", "1h", "2h")
	st := d.newStore(t, d.asRoot().with(settings{"kv_version": "1", "kv_mounts": []string{"kv"}}))
	ctx, leave := context.WithCancel(d.ctx)
	first := leaving{asked: make(chan struct{})}
	gone := make(chan error, 1)
	// The host ends what it is asked when the call is over, and the plugin's own context does not.
	host := hostUntil{first, ctx}
	go func() {
		_, err := st.Resolve(sdk.WithHost(ctx, host), ref("s:database/creds/r"))
		gone <- err
	}()
	<-first.asked
	second := make(chan error, 1)
	waiting := make(chan struct{})
	go func() {
		close(waiting)
		_, err := st.Resolve(d.ctx, ref("s:database/creds/r"))
		second <- err
	}()
	<-waiting
	time.Sleep(50 * time.Millisecond) // that it has joined cannot be seen; if it has not, it asks by itself
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("who waited: %v", err)
	}
}

// hostUntil answers as long as a call lasts.
type hostUntil struct {
	leaving
	call context.Context
}

func (h hostUntil) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	return h.leaving.ResolveSecret(h.call, ref)
}

// A token that may read one path and renew its leases is enough to keep a secret.
func TestRenewalWithANarrowPolicy(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	for _, role := range []string{"kept", "ends", "gone"} {
		d.role(t, role, "3s", "1h")
	}
	d.host.set("may", d.narrow(t, "may", mayRead+mayRenew))
	d.host.set("may-not", d.narrow(t, "may-not", mayRead))
	open := func(name string) *secrets.Store {
		return d.newStore(t, d.base().with(settings{"token": "urn:realmgate-secret:ops:" + name, "max_age": "PT1S"}))
	}
	t.Run("renewed", func(t *testing.T) {
		t.Parallel()
		st := open("may")
		first := d.user(t, st, "kept")
		for end := time.Now().Add(7 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if user := d.user(t, st, "kept"); user != first {
				t.Fatalf("the user changes from %s to %s", first, user)
			}
		}
	})
	t.Run("left to its end where it may not be renewed", func(t *testing.T) {
		t.Parallel()
		st := open("may-not")
		users := map[string]bool{}
		for end := time.Now().Add(7 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			users[d.user(t, st, "ends")] = true // which is in the database each time
		}
		if len(users) < 2 || len(users) > 5 {
			t.Errorf("%d users in 7 seconds", len(users))
		}
	})
	t.Run("revoked behind our back", func(t *testing.T) {
		t.Parallel()
		st := open("may") // which may not ask whether a lease stands: the renewal finds out
		first := d.user(t, st, "gone")
		d.Do(t, http.MethodPut, "sys/leases/revoke-prefix/database/creds/gone", nil)
		at := time.Now()
		eventually(t, "another user", func() bool { return d.read(t, st, "database/creds/gone#username") != first })
		if took := time.Since(at); took > 4*time.Second {
			t.Errorf("noticed after %v, and two thirds of a life are 2 s", took)
		}
	})
}

// A lease that is revoked behind our back is noticed within max_age, and what took its place is given to all.
func TestRevokedLeaseIsNoticedInTime(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.role(t, "r", "1h", "2h")
	b := newBetween(t, d.world, nil)
	st := d.newStore(t, d.asRoot().with(settings{"address": b.URL, "max_age": "PT1S"}))
	first := d.user(t, st, "r")
	d.Do(t, http.MethodPut, "sys/leases/revoke-prefix/database/creds/r", nil)
	at, now := time.Now(), ""
	eventually(t, "another user", func() bool { now = d.read(t, st, "database/creds/r#username"); return now != first })
	if took := time.Since(at); took > 3*time.Second {
		t.Errorf("noticed after %v", took)
	}
	if again := d.user(t, st, "r"); again != now {
		t.Errorf("%s, then %s", now, again)
	}
	if n := b.count("database/creds/r"); n != 2 {
		t.Errorf("%d secrets were made", n)
	}
	if err := st.Close(); err != nil || d.exists(t, now) {
		t.Errorf("the lease outlives the store: %v", err)
	}
}
