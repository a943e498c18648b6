package secrets

import (
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// absentFor is how long it is remembered that there is no such secret, so that who asks again and again does not decide how
	// often the server is asked.
	absentFor = time.Second
	maxAbsent = 1024
)

// absences remembers what is not there.
type absences struct {
	mu      sync.Mutex
	until   map[sdk.SecretRef]time.Time
	changed time.Time // when something was last written
}

func (a *absences) has(ref sdk.SecretRef, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.until[ref.Whole()])
}

// keep remembers what the server said when it was asked at that time, unless something was written since.
func (a *absences) keep(ref sdk.SecretRef, asked time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !asked.After(a.changed) {
		return
	}
	if a.until == nil || len(a.until) >= maxAbsent {
		a.until = map[sdk.SecretRef]time.Time{}
	}
	a.until[ref.Whole()] = asked.Add(absentFor)
}

// forget is for whoever has written.
func (a *absences) forget(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until, a.changed = nil, now
}
