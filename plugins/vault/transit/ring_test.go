package transit

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/flight"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/accesstoken"
)

// readings gives one after the other, and the last one again and again. Each is a fault or versions.
func readings(all ...any) func(context.Context) (*versions, error) {
	var mu sync.Mutex
	return func(context.Context) (*versions, error) {
		mu.Lock()
		defer mu.Unlock()
		next := all[0]
		if len(all) > 1 {
			all = all[1:]
		}
		if err, ok := next.(error); ok {
			return nil, err
		}
		v := *next.(*versions)
		return &v, nil
	}
}

// A key that is replaced while a token is verified by it does not make the verdict one of two keys.
func TestVerifyUsesOneReading(t *testing.T) {
	t.Parallel()
	setup := sdk.Setup{Realm: "r", Issuer: "https://auth.example.com/realms/r", Audience: []string{"a"}}
	realm, err := accesstoken.ForRealm(setup, sdk.Duration(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	before, err := parse(key("ecdsa-p256", 1, public(t, ec)), "")
	if err != nil {
		t.Fatal(err)
	}
	after, err := parse(key("ed25519", 1, public(t, ed)), "")
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{realm: realm, ring: newRing(readings(before, after), 0, time.Hour)} // whoever looks reads again
	t.Cleanup(b.ring.close)
	c, err := realm.Claims(sdk.Grant{Principal: sdk.PrincipalRef{ID: "1"}, Realm: "r", Issuer: setup.Issuer}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := accesstoken.Sign(c, "ES256", before.all[0].id, func(signed string) ([]byte, error) {
		return algorithms["ES256"].method.Sign(signed, ec)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), sdk.Request{Scheme: "bearer", Token: token.Value}); err != nil {
		t.Error(err)
	}
	if _, err := b.Verify(t.Context(), sdk.Request{Scheme: "bearer", Token: token.Value}); sdk.AsDenial(err) == nil || sdk.AsDenial(err).Reason != "key_unknown" {
		t.Errorf("by the other key: %v", err)
	}
}

// Who contradicts finds what was read since, and has it read again only so often.
func TestInstead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRing(func(context.Context) (*versions, error) {
			n++
			return &versions{algorithm: fmt.Sprint(n)}, nil
		}, time.Hour, time.Hour)
		defer r.close()
		first, err := r.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again := func(before *versions, want int) *versions {
			t.Helper()
			v, err := r.instead(t.Context(), before)
			if err != nil || v.algorithm != fmt.Sprint(want) {
				t.Fatalf("%+v %v, want the reading %d", v, err, want)
			}
			return v
		}
		second := again(first, 2)
		again(first, 2) // somebody else's contradiction of what is no more
		third := again(second, 3)
		if v := again(third, 3); v != third {
			t.Error("it gives something else than what was contradicted")
		}
		time.Sleep(doubtEvery)
		again(third, 4)
	})
}

// hanging answers its first question, and then none.
func hanging(asked *int) func(context.Context) (*versions, error) {
	return func(ctx context.Context) (*versions, error) {
		if *asked++; *asked == 1 {
			return &versions{algorithm: "x"}, nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

// took asks for the versions and compares how long that takes.
func (r *ring) took(ctx context.Context, t *testing.T, want time.Duration, known bool) {
	t.Helper()
	began := time.Now()
	if _, err := r.current(ctx); (err == nil) != known || time.Since(began) != want {
		t.Errorf("%v after %v, want %v", err, time.Since(began), want)
	}
}

// Nobody waits for a server that is slow or down, as long as versions are asked for again and again, until those that are known
// are too old.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRing(hanging(&n), time.Minute, time.Hour)
		defer r.close()
		for began := time.Now(); time.Since(began) <= time.Hour; time.Sleep(time.Second) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			r.took(ctx, t, 0, true)
			cancel()
		}
		synctest.Wait()
		if least, most := 400, 1+int(time.Hour/retry); n < least || n > most {
			t.Errorf("the server was asked %d times, want %d to %d", n, least, most)
		}
		time.Sleep(retry)
		r.took(t.Context(), t, readTimeout, false)
		r.took(t.Context(), t, 0, false)
	})
}

// After a pause the versions are read before they are used: one that is ruled out does not serve longer than refresh. Who waits for
// a server that is slow does so for half of the time that there is, and the others not at all.
func TestAfterAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(readings(&versions{algorithm: "x"}, &versions{algorithm: "y"}), time.Minute, time.Hour)
		defer r.close()
		r.took(t.Context(), t, 0, true)
		time.Sleep(time.Minute)
		if v, err := r.current(t.Context()); err != nil || v.algorithm != "y" {
			t.Errorf("after a pause: %+v %v", v, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRing(hanging(&n), time.Minute, time.Hour)
		defer r.close()
		r.took(t.Context(), t, 0, true)
		time.Sleep(30 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		var one sync.WaitGroup
		one.Go(func() { r.took(ctx, t, 100*time.Millisecond, true) })
		synctest.Wait()
		r.took(t.Context(), t, 0, true) // meanwhile
		one.Wait()
		time.Sleep(readTimeout)
		r.took(t.Context(), t, 0, true) // the server has just failed, though nobody was there any more
		time.Sleep(retry)
		r.took(t.Context(), t, 0, true)
		synctest.Wait()
		if n != 3 {
			t.Errorf("the server was asked %d times", n)
		}
		time.Sleep(10 * time.Minute)
		r.took(t.Context(), t, readTimeout, true) // that it failed was long ago
	})
}

// What the server says is its own, whether the caller is still there or not.
func TestFaultOfTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRing(func(context.Context) (*versions, error) {
			if n++; n == 1 {
				return &versions{algorithm: "x"}, nil
			}
			time.Sleep(time.Second)
			return nil, fmt.Errorf("the key: %w", &client.Failure{Status: 500})
		}, time.Minute, time.Hour)
		defer r.close()
		r.took(t.Context(), t, 0, true)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		r.took(ctx, t, 100*time.Millisecond, true)
		time.Sleep(time.Second)
		r.took(t.Context(), t, 0, true)
		if n != 2 {
			t.Errorf("the server was asked %d times", n)
		}
	})
}

// Whoever may export a key can sign without the server, and the log says so.
func TestExportableKey(t *testing.T) {
	t.Parallel()
	for _, exportable := range []bool{true, false} {
		var log bytes.Buffer
		ctx := sdk.WithLogger(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		r := newRing(readings(&versions{algorithm: "x", exportable: exportable}), time.Minute, time.Hour)
		if _, err := r.current(ctx); err != nil {
			t.Error(err)
		}
		r.close()
		if got := strings.Count(log.String(), "the key is exportable"); (got == 1) != exportable {
			t.Errorf("exportable: %v: %s", exportable, log.String())
		}
	}
}

// The host answers only while the call lasts that it is asked in. That this one is over is not kept as a fault of the server,
// whether somebody waits or comes later.
func TestWhoLeavesIsNoFault(t *testing.T) {
	t.Parallel()
	for _, waits := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			until := make(chan struct{})
			next := readings(errors.New("the call is over"), &versions{algorithm: "x"})
			r := newRing(func(ctx context.Context) (*versions, error) {
				<-until
				return next(ctx)
			}, time.Minute, time.Hour)
			defer r.close()
			another := func() {
				if v, err := r.current(t.Context()); err != nil || v.algorithm != "x" {
					t.Errorf("another one (who waits: %v): %v", waits, err)
				}
			}
			var all sync.WaitGroup
			all.Go(func() { _, _ = r.current(ctx) })
			synctest.Wait()
			if waits {
				all.Go(another)
				synctest.Wait()
			}
			leave()
			synctest.Wait()
			close(until)
			all.Wait()
			synctest.Wait()
			if !waits {
				another()
			}
		})
	}
}

// The host may refuse what is asked in a call that is over before the plugin knows that it is: that is no fault of the server's, too.
func TestWhatIsTheCallersOwnIsNotRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(readings(flight.Own(errors.New("the call is over")), &versions{algorithm: "x"}), time.Minute, time.Hour)
		defer r.close()
		if _, err := r.current(t.Context()); err == nil {
			t.Error("the one whose call is over was answered")
		}
		if v, err := r.current(t.Context()); err != nil || v.algorithm != "x" {
			t.Errorf("the next one: %v", err)
		}
	})
}
