package client

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// alone gives clients that share breakers, and what moves the time of these, which stands otherwise.
func alone(t *testing.T) (open func(settings string, urls ...string) *Client, pass func(time.Duration)) {
	t.Helper()
	began := time.Now()
	var ahead atomic.Int64
	now := func() time.Time { return began.Add(time.Duration(ahead.Load())) }
	ctx := breaker.WithOutbound(t.Context(), breaker.NewOutbound(breaker.Config{Now: now}, nil))
	return func(settings string, urls ...string) *Client {
		t.Helper()
		var s Server
		text := `{"address":"` + urls[0] + `","further_addresses":["` + strings.Join(urls[1:], `","`) + `"]` + settings + `}`
		if err := sdk.Decode([]byte(strings.Replace(text, `[""]`, `[]`, 1)), &s); err != nil {
			t.Fatal(err)
		}
		c, err := New(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}, func(d time.Duration) { ahead.Add(int64(d)) }
}

// TestServerThatIsLeftAlone: after some questions nobody waits for a server that fails, whoever asks it; those of another server
// do not notice, and when it is back one finds out for all.
func TestServerThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	open, pass := alone(t)
	var back atomic.Bool
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		if back.Load() {
			good(w, r)
			return
		}
		fail(http.StatusServiceUnavailable, "Vault is sealed")(w, r)
	})
	// With so many repetitions, who went through them would take their time.
	patient := `,"max_retries":10,"timeout":"PT30S"`
	one, two, other := open("", f.URL), open(patient, f.URL), open("", newFake(t, good).URL)
	for range 2 { // of three tries
		_, _ = one.Do(t.Context(), get())
	}
	for c, want := range map[*Client]string{
		one: "the server is sealed (status 503), and is left alone for a while", two: "the server fails again and again, and is left alone for a while",
	} {
		asked, began := f.asked.Load(), time.Now()
		_, err := c.Do(t.Context(), get())
		if err == nil || err.Error() != want || As(err).Answered() || f.asked.Load() != asked {
			t.Errorf("%v, want %s; it was asked %d times", err, want, f.asked.Load()-asked)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v to say so", took)
		}
	}
	if _, err := other.Do(t.Context(), get()); err != nil {
		t.Errorf("another server: %v", err)
	}
	back.Store(true)
	pass(5 * time.Second)
	for _, c := range []*Client{two, one} {
		if _, err := c.Do(t.Context(), get()); err != nil {
			t.Errorf("it is back: %v", err)
		}
	}
}

// TestNodeThatIsLeftAlone: the others are asked at once, also with what must not be asked twice.
func TestNodeThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	open, _ := alone(t)
	broken, up := newFake(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), newFake(t, good)
	single := open("", broken.URL)
	for range 2 { // of three tries
		_, _ = single.Do(t.Context(), get())
	}
	asked := broken.asked.Load()
	r := get()
	r.Once = true
	if out, err := open("", broken.URL, up.URL).Do(t.Context(), r); err != nil || out.Data["x"] != "1" || broken.asked.Load() != asked {
		t.Errorf("%v, %v; the node that fails was asked %d times", out, err, broken.asked.Load()-asked)
	}
}

// TestAlienCertificatesCloseNoWay: what is wrong with the settings of one is not the server's fault for all.
func TestAlienCertificatesCloseNoWay(t *testing.T) {
	t.Parallel()
	open, _ := alone(t)
	s, ca := newTLS(t)
	trusting, strange := open(`,"ca_pem":`+ca, s.URL), open("", s.URL)
	for range 5 {
		if _, err := strange.Do(t.Context(), get()); err == nil || strings.Contains(err.Error(), "left alone") {
			t.Fatal(err)
		}
	}
	if _, err := trusting.Do(t.Context(), get()); err != nil {
		t.Error(err)
	}
}
