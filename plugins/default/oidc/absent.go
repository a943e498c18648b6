package oidc

import (
	"sync"
	"time"
)

const (
	absentFor = unknownEvery // no longer than it takes until the provider may be asked again
	maxAbsent = 1024
)

// absentKeys remembers key ids that the provider turned out not to have. The zero absentKeys is ready; it is safe for
// concurrent use. When it is full it takes no more: the bucket of refreshes protects the provider all the same.
type absentKeys struct {
	mu   sync.Mutex
	till map[string]time.Time
}

func (a *absentKeys) has(kid string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.till[kid])
}

// forget forgets all: the provider has other keys now.
func (a *absentKeys) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.till)
}

func (a *absentKeys) add(kid string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.till) >= maxAbsent {
		for k, t := range a.till {
			if !now.Before(t) {
				delete(a.till, k)
			}
		}
		if len(a.till) >= maxAbsent {
			return
		}
	}
	if a.till == nil {
		a.till = map[string]time.Time{}
	}
	a.till[kid] = now.Add(absentFor)
}
