package secret

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// A value does not stay in memory when its time is over, whether somebody asks for it again or not.
func TestNothingIsKeptBeyondItsLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(nil)
		s.table.Load().kept.StopAllGoroutines()
		m := &memory{values: map[string]string{"x": "1", "y": "2"}}
		s.SetStores([]Store{{Name: "m", Resolver: m}})
		kept := s.table.Load().kept
		defer kept.StopAllGoroutines()
		s.text(t.Context(), t, "x")
		time.Sleep(defaultLife / 2)
		s.text(t.Context(), t, "y")
		for _, want := range []int{2, 1, 0} {
			if n := kept.EstimatedSize(); n != want {
				t.Errorf("%d are kept, want %d", n, want)
			}
			time.Sleep(defaultLife/2 + 2*time.Second)
			synctest.Wait()
		}
	})
}

// large gives secrets of 64 KiB.
type large struct{}

func (large) Resolve(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	return sdk.NewSecret(bytes.Repeat([]byte("x"), 64<<10)), nil
}

// What is kept is bounded in bytes, however many places and versions there are.
func TestWhatIsKeptIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: large{}}})
	for i := range 2 * maxKept / (64 << 10) {
		s.text(t.Context(), t, fmt.Sprintf("x%d?=version=%d", i%7, i))
	}
	kept := s.table.Load().kept
	kept.CleanUp()
	bytes := 0
	for k := range kept.Values() {
		bytes += len(k.secret.Reveal())
	}
	if bytes > maxKept || bytes < maxKept/2 || kept.WeightedSize() > maxKept {
		t.Errorf("%d bytes are kept, reckoned as %d; the bound is %d", bytes, kept.WeightedSize(), maxKept)
	}
}

// A write makes all versions of the place be forgotten, and nothing else.
func TestWritesForgetEachVersion(t *testing.T) {
	t.Parallel()
	m := &memory{values: map[string]string{"x": "1", "xy": "2"}}
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: m, Writer: m}})
	all := []string{"x", "x?=version=1", "x?=version=2", "xy"}
	for _, at := range all {
		s.text(t.Context(), t, at)
	}
	if _, err := s.Write(t.Context(), ref(t, "urn:realmgate-secret:m:x"), []byte("3")); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, at := range all {
		got += s.text(t.Context(), t, at)
	}
	if got != "3332" || m.fetches.Load() != 7 {
		t.Errorf("%s after %d fetches", got, m.fetches.Load())
	}
}

// broken panics, as the host's side of a resolver might.
type broken struct{}

func (broken) Resolve(context.Context, sdk.SecretRef) (sdk.Secret, error) { panic("out of order") }

func TestPanicOfAStore(t *testing.T) {
	t.Parallel()
	s := New(nil)
	s.SetStores([]Store{{Name: "m", Resolver: broken{}}})
	if _, err := s.Resolve(t.Context(), ref(t, "urn:realmgate-secret:m:x")); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Error(err)
	}
}
