package main

import (
	"context"
	"time"
)

// Secrets that could not be deleted when their owner went are tried again every sweepInterval; a store that does not answer
// keeps the others waiting for sweepLimit.
const (
	sweepInterval = time.Minute
	sweepLimit    = 20 * time.Second
)

// sweep deletes secrets that are left over, now and from time to time.
func (r *rooms) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		gen, leave := r.holder.Enter()
		realms := gen.Custodies()
		leave()
		for _, realm := range realms {
			r.sweepRealm(ctx, realm)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweepRealm sweeps one realm. It keeps a generation that is no longer current for that long at the most.
func (r *rooms) sweepRealm(ctx context.Context, realm string) {
	gen, leave := r.holder.Enter()
	defer leave()
	c := gen.Custody(realm)
	if c == nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	if _, err := c.Sweep(limited); err != nil && ctx.Err() == nil { // it tells itself what it leaves
		r.log.Warn("secrets that are left over cannot be looked for now; it is tried again", "realm", realm, "error", err)
	}
}
