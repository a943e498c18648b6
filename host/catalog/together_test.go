package catalog

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// turning is a store whose secret is another one each time, and which must not be kept.
type turning struct{ n atomic.Int64 }

func (s *turning) Resolve(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	n := s.n.Add(1)
	out := sdk.NewSecret(fmt.Appendf(nil, `{"user":"u%d","password":"p%d"}`, n, n))
	out.CacheUntil = time.Unix(1, 0)
	return out, nil
}

// A plugin that asks for a user, and then for the password, gets those of one reading, however fast they change.
func TestFieldsBelongTogetherInACall(t *testing.T) {
	t.Parallel()
	store := &turning{}
	secrets := secret.New(nil)
	secrets.SetStores([]secret.Store{{Name: "store", Resolver: store, Grants: []secret.Grant{{Realm: "r1", Prefix: "db/"}}}})
	w := newWorld(t, func(o *Options) { o.Secrets = secrets }, source(t, "p", "good"))
	h := w.mapper(t, "resolve a pair")
	for _, want := range []string{"u1 p1 u1", "u2 p2 u2"} {
		if got, err := w.mapSubject(t, h, "r1", "db/creds"); err != nil || got.Name != want {
			t.Errorf("%q, %v, want %q", got.Name, err, want)
		}
	}
	if got, err := w.mapSubject(t, h, "r1", "other"); err == nil {
		t.Errorf("what is not granted: %q", got.Name)
	}
}
