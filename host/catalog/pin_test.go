package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/lock"
)

// What a lock file does not have as it is does not serve; what is executed is checked before it is.
func TestPin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	s := w.Plugins()[0]
	if s.Digest == "" {
		t.Fatalf("%+v", s)
	}
	entry := func(change func(*lock.Entry)) *lock.Entry {
		e := &lock.Entry{Name: "p", SHA256: s.Digest, Contract: Contract(), Offers: LockOffers(s.Offers)}
		change(e)
		return e
	}
	const file, update = "/etc/realmgate/realmgate.lock.json", "lock it"
	for name, tt := range map[string]struct {
		pin  *Pin
		ran  bool
		want string
	}{
		"no lock file":   {nil, true, ""},
		"as locked":      {&Pin{file, update, entry(func(*lock.Entry) {})}, true, ""},
		"not in it":      {&Pin{file, update, nil}, false, "is not in the lock file " + file + "; if it is to run as it is: " + update},
		"other bytes":    {&Pin{file, update, entry(func(e *lock.Entry) { e.SHA256 = strings.Repeat("0", 64) })}, false, "has the SHA-256 checksum " + s.Digest + ", and the lock file " + file + " has 0000"},
		"other contract": {&Pin{file, update, entry(func(e *lock.Entry) { e.Contract = 2 })}, true, "it speaks version 1 of the contract, not 2"},
		"other offers":   {&Pin{file, update, entry(func(e *lock.Entry) { e.Offers = e.Offers[1:] })}, true, `it offers the principal-mapper "modest-badge"`},
		"other wants":    {&Pin{file, update, entry(func(e *lock.Entry) { e.Offers[2].Wants = nil })}, true, `it wants "`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := source(t, "p", "good")
			mark := filepath.Join(t.TempDir(), "mark")
			src.Pin, src.Env["RAN"] = tt.pin, mark
			w := newWorld(t, nil, src)
			got := w.Plugins()[0]
			if tt.want == "" != (got.State == StateReady) || !strings.Contains(got.LastError, tt.want) {
				t.Errorf("%s: %q, want %q", got.State, got.LastError, tt.want)
			}
			if _, err := os.Stat(mark); (err == nil) != tt.ran {
				t.Errorf("the binary was executed: %v, want %v", err == nil, tt.ran)
			}
		})
	}
}
