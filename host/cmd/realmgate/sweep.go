package main

import (
	"context"
	"maps"
	"slices"
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
	left := map[string]bool{} // the realms whose last sweep left something
	for {
		realms, err := r.directory.RealmsToSweep(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("secrets that are left over cannot be looked for now; it is tried again", "error", err)
		}
		if err == nil {
			left = r.sweepRealms(ctx, realms, left)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweepRealms sweeps realms, and those where something was left, since whoever keeps their secrets has to hear when that is over.
// It gives those where something is left now.
func (r *rooms) sweepRealms(ctx context.Context, realms []string, before map[string]bool) (left map[string]bool) {
	left = map[string]bool{}
	for _, realm := range realms {
		delete(before, realm)
	}
	for _, realm := range slices.AppendSeq(realms, maps.Keys(before)) {
		if r.sweepRealm(ctx, realm) {
			left[realm] = true
		}
	}
	return left
}

// sweepRealm sweeps one realm, and says whether something is left. It keeps a generation that is no longer current for that long
// at the most.
func (r *rooms) sweepRealm(ctx context.Context, realm string) (left bool) {
	gen, leave := r.holder.Enter()
	defer leave()
	c := gen.Custody(realm)
	if c == nil {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	n, err := c.Sweep(limited)
	if err != nil && ctx.Err() == nil { // it tells itself what it leaves
		r.log.Warn("secrets that are left over cannot be looked for now; it is tried again", "realm", realm, "error", err)
	}
	return n > 0 || err != nil
}
