package secrets

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	looking  = "PUT sys/leases/lookup"
	renewing = "PUT sys/leases/renew"
	revoking = "PUT sys/leases/revoke"
)

// However many secrets are asked for at the same time, no more leases stand than max_leases says.
func TestMaxLeasesAtTheSameTime(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, map[string]any{"max_leases": 2})
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	const paths = 12
	for n := range paths {
		f.on(fmt.Sprintf("GET db/%d", n), func(w http.ResponseWriter, r *http.Request) {
			<-release
			f.answer(w, r)
		})
	}
	must(t, st, "kv/x") // it is logged in
	var refused atomic.Int32
	var all sync.WaitGroup
	for n := range paths {
		all.Go(func() {
			_, err := st.Resolve(t.Context(), ref(fmt.Sprintf("db/%d", n)))
			if err != nil {
				refused.Add(1)
				if !strings.Contains(err.Error(), "max_leases") {
					t.Error(err)
				}
			}
		})
	}
	eventually(t, "those that come too late are refused", func() bool { return refused.Load() == paths-2 })
	letGo()
	all.Wait()
	if f.most != 2 {
		t.Errorf("%d leases stood at a time", f.most)
	}
}

// A lease that a former login got stands, and counts: it is given back before another one takes its place.
func TestReplacedLeasesCount(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, map[string]any{"max_leases": 1})
	must(t, st, "db/a")
	st.leases.mu.Lock()
	st.leases.all["db/a"].login = 0 // which no login is
	st.leases.mu.Unlock()
	f.on(revoking, says(http.StatusForbidden, "permission denied"))
	_, err := st.Resolve(t.Context(), ref("db/a"))
	if err == nil || !strings.Contains(err.Error(), `max_leases allows 1 leases, and one that is not in use cannot be revoked: the policies of the store's token do not give "update" on sys/leases/revoke: `) {
		t.Errorf("no room can be made: %v", err)
	}
	f.on(revoking, nil)
	if v := must(t, st, "db/a"); string(v.Reveal()) != `{"username":"u2"}` {
		t.Errorf("%s", v.Reveal())
	}
	if f.most != 1 || f.leases != 2 {
		t.Errorf("%d leases stood at a time, of %d", f.most, f.leases)
	}
}

// What was replaced while it may still be in use counts until it ends.
func TestLeasesThatWereReplacedInTimeCount(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, map[string]any{"max_leases": 2})
	must(t, st, "db/a")
	old := st.leases.all["db/a"]
	st.leases.mu.Lock()
	old.tired = true
	st.leases.mu.Unlock()
	must(t, st, "db/a")
	if _, err := st.Resolve(t.Context(), ref("db/b")); err == nil || f.most != 2 {
		t.Errorf("%d leases stood at a time: %v", f.most, err)
	}
	st.leases.mu.Lock()
	old.expires = time.Now()
	st.leases.mu.Unlock()
	must(t, st, "db/b")
}

// Of what nobody keeps any more, that makes room which was not asked for the longest; what may be in use does not.
func TestIdleLeasesMakeRoom(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, map[string]any{"max_leases": 8})
	for n := range 8 {
		must(t, st, fmt.Sprintf("db/%d", n))
	}
	if _, err := st.Resolve(t.Context(), ref("db/x")); err == nil || !strings.Contains(err.Error(), "the store holds 8 leases that are in use") {
		t.Errorf("a lease that was just given made room: %v", err)
	}
	st.leases.mu.Lock()
	for n := range 8 {
		x := st.leases.all[fmt.Sprintf("db/%d", n)]
		x.asked = x.asked.Add(-time.Duration((n*3)%8) * time.Minute) // db/5 the longest
	}
	st.leases.mu.Unlock()
	must(t, st, "db/x")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.standing["lease6"] || len(f.standing) != 8 || f.most != 8 {
		t.Errorf("%v stand, %d at a time", f.standing, f.most)
	}
}

// The end of a lease is reckoned from before its question: the server counts from when it had it.
func TestEndsAreReckonedFromTheQuestion(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, map[string]any{"max_age": "PT5S"})
	before := func(what string, got, want time.Time) {
		t.Helper()
		if got.After(want) {
			t.Errorf("%s is %v after what the server reckons", what, got.Sub(want))
		}
	}
	s := must(t, st, "db/a")
	x := st.leases.all["db/a"]
	before("the end", x.expires, f.last("GET db/a").Add(time.Hour))
	before("the time until which it may be kept", s.CacheUntil, f.last("GET db/a").Add(5*time.Second))
	if err := st.leases.renew(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	before("the end after a renewal", x.expires, f.last(renewing).Add(time.Hour))
	before("the renewal", x.renewed, f.last(renewing))
	before("the last sight", x.seen, f.last(renewing))
	if err := st.leases.confirm(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	before("the last sight after a look", x.seen, f.last(looking))
	before("the time until which a secret may be kept", must(t, st, "kv/x").CacheUntil, f.last("GET kv/x").Add(5*time.Second))
	f.on("GET kv2/data/x", gives(`{"request_id":"r","data":{"data":{"a":"b"},"metadata":{"version":1}}}`))
	before("the time until which a version may be kept", must(t, st, "kv2/x").CacheUntil, f.last("GET kv2/data/x").Add(5*time.Second))
}

// What is given again without a look at it may be kept no longer than what was given first.
func TestKeptNoLongerThanMaxAgeAfterALook(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, map[string]any{"max_age": "PT1S"})
	first := must(t, st, "db/a")
	if again := must(t, st, "db/a"); !again.CacheUntil.Equal(first.CacheUntil) || f.times(looking) > 0 {
		t.Errorf("until %v, then until %v after %d looks", first.CacheUntil, again.CacheUntil, f.times(looking))
	}
	f.on(looking, says(http.StatusInternalServerError))
	eventually(t, "the server is asked again", func() bool {
		s := must(t, st, "db/a")
		if f.times(looking) == 0 {
			return false
		}
		if !s.CacheUntil.After(time.Now()) {
			t.Error("while the server is away, what stands by its time may not be kept")
		}
		return true
	})
}

// A lease is renewed only if it was asked for since it was got.
func TestLeasesThatAreNotInUseAreLeftToTheirEnd(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 2} {
		f := newFake(t)
		f.life = 1
		st := f.open(t, nil)
		for range times {
			must(t, st, "db/a")
		}
		if times == 2 {
			eventually(t, "it is renewed", func() bool { return f.times(renewing) == 1 })
			continue
		}
		st.leases.work.Wait() // for its end
		if n := f.times(renewing); n > 0 {
			t.Errorf("it was asked for once, and renewed %d times", n)
		}
	}
}

// Near its end a lease is not given any more: a tenth of its life, half a minute at most.
func TestMarginOfALease(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, nil)
	must(t, st, "db/a")
	x := st.leases.all["db/a"]
	for life, want := range map[time.Duration]time.Duration{20 * time.Second: 2 * time.Second, time.Hour: 30 * time.Second} {
		now := time.Now()
		x.life = life
		for _, left := range []time.Duration{want - time.Millisecond, want + time.Minute} {
			x.expires = now.Add(left)
			if got := st.leases.serves(x, now); got != (left > want) {
				t.Errorf("of %v are left %v: it serves: %v", life, left, got)
			}
		}
		if got := x.expires.Sub(x.result().until); got != want {
			t.Errorf("of %v: kept until %v before its end", life, got)
		}
	}
	x.life, x.expires = 20*time.Second, time.Now().Add(time.Second)
	if v := must(t, st, "db/a"); string(v.Reveal()) != `{"username":"u2"}` {
		t.Errorf("%s", v.Reveal())
	}
}

// A question that makes a secret is not repeated: the first one may have made it.
func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, map[string]any{"max_retries": 2})
	f.on("GET db/a", says(http.StatusInternalServerError, "the connection to the database broke"))
	if _, err := st.Resolve(t.Context(), ref("db/a")); err == nil || f.times("GET db/a") != 1 {
		t.Errorf("%v after %d questions", err, f.times("GET db/a"))
	}
	f.on("GET kv/x", says(http.StatusInternalServerError))
	if _, err := st.Resolve(t.Context(), ref("kv/x")); err == nil || f.times("GET kv/x") != 3 {
		t.Errorf("what only reads: %v after %d questions", err, f.times("GET kv/x"))
	}
}
