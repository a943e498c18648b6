package token

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"
)

// A key that is no longer published takes with it what is remembered of its tokens: its realm's epoch moves, once, and again
// with the next set if the directory failed. A key that is new moves nothing.
func TestKeyThatIsGoneMovesTheEpoch(t *testing.T) {
	clock := now
	other := strings.ReplaceAll(ecJWK, `"kid":"2"`, `"kid":"3"`)
	p := &publisher{sets: []string{`{"keys":[` + rsaJWK + `]}`, twoKeys, `{"keys":[` + ecJWK + `]}`, `{"keys":[` + ecJWK + `,` + other + `]}`, `{"keys":[` + other + `]}`, `{"keys":[` + other + `]}`}}
	var moved []string
	f := newFixture()
	d := &struct{ Directory }{}
	f.Directory, f.Keys, f.Now = d, p, func() time.Time { return clock }
	s := f.service(t)
	for i, want := range []int{0, 0, 1, 1, 1, 2, 2} {
		directory := clients{moved: &moved}
		if i == 4 { // the key 2 goes while the directory is down
			directory.err = errors.New("down")
		}
		d.Directory = directory
		getKeys(s)
		if len(moved) != want {
			t.Fatalf("after the set %d the epoch was moved %d times, want %d: %v", i+1, len(moved), want, moved)
		}
		clock = clock.Add(askAgain)
	}
	if moved[0] != "r" {
		t.Errorf("another realm's epoch: %v", moved)
	}
}

// Who only looks waits for nothing, and notices all the same.
func TestLookAtKeys(t *testing.T) {
	p := &publisher{sets: []string{twoKeys}, wait: make(chan struct{})}
	f := newFixture()
	f.Keys = p
	s := f.service(t)
	for range 10 {
		s.LookAtKeys(t.Context())
	}
	close(p.wait)
	getKeys(s)
	if n := p.asked.Load(); n != 1 {
		t.Errorf("the broker was asked %d times", n)
	}
	f.Keys = nil
	f.service(t).LookAtKeys(t.Context()) // a broker that publishes none
}

// A service goes on with what the one before knew of the keys, and keeps nothing else of it: a daemon that is reloaded again
// and again would grow.
func TestFormerServiceIsNotKept(t *testing.T) {
	f := newFixture()
	f.Keys = &publisher{sets: []string{twoKeys}}
	var gone []weak.Pointer[Service]
	last := f.service(t)
	for range 3 {
		getKeys(last)
		gone = append(gone, weak.Make(last))
		f.Former = last
		last = f.service(t)
	}
	f.Former = nil
	for i, p := range gone {
		for end := time.Now().Add(10 * time.Second); p.Value() != nil; runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("the service %d is kept", i+1)
			}
		}
	}
	runtime.KeepAlive(last)
}
