package secret

import (
	"context"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// Together gives a context in which fields belong together: all that is resolved with it, or with one that descends from it,
// is of one reading of each secret, even if that changes or its time is over meanwhile. It is for as long as one call of a
// plugin, which may ask for a user first and then for the password.
func Together(ctx context.Context) context.Context {
	return context.WithValue(ctx, readingsKey{}, &readings{})
}

type readingsKey struct{}

// readings are the secrets that one call was given.
type readings struct {
	mu  sync.Mutex
	all map[reading]sdk.Secret
}

// reading names one. Two configurations may have different stores of one name.
type reading struct {
	table *table
	whole sdk.SecretRef
}

// together gives the secret of which a call was given something before, else what read gives.
func together(ctx context.Context, t *table, whole sdk.SecretRef, read func() (sdk.Secret, error)) (sdk.Secret, error) {
	r, ok := ctx.Value(readingsKey{}).(*readings)
	if !ok {
		return read()
	}
	at := reading{t, whole}
	r.mu.Lock()
	v, ok := r.all[at]
	r.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return sdk.Secret{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.all[at]; ok { // the call asked for two fields at a time
		return first, nil
	}
	if r.all == nil {
		r.all = map[reading]sdk.Secret{}
	}
	r.all[at] = v
	return v, nil
}
