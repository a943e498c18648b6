package secrets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/flight"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// fetchTimeout bounds what one caller begins for all who wait.
	fetchTimeout = 10 * time.Second
	// closePatience is what questions under way still have at the end: what the server makes in answer to one that is broken
	// off, nobody knows of. closeTimeout bounds the revocation of all leases thereafter.
	closePatience = time.Second
	closeTimeout  = 3 * time.Second
	// revokers is how many leases are revoked at a time.
	revokers = 8
)

// leases are the secrets that the server made for the store, by path. It is safe for concurrent use.
//
// A lease is renewed when two thirds of its life are over if it was asked for since it was got or last renewed; else it is left
// to its end. When it was last seen to stand longer than maxAge ago, the server is asked whether it does.
type leases struct {
	session *login.Session
	most    int
	maxAge  time.Duration
	flights *flight.Group[result]
	ctx     context.Context // ends with the store
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu     sync.Mutex
	all    map[string]*lease
	past   []*lease // not given any more, but they may stand: others may still use what they gave
	making int      // places of max_leases for what is being made
}

// lease is one secret. What changes is guarded by the lock of leases.
type lease struct {
	path      string
	id        string
	fields    map[string]any
	login     uint64
	life      time.Duration // when it was got
	term      time.Duration // when it was got or last renewed
	renewable bool

	expires time.Time
	seen    time.Time // when the server was asked that last said that it stands
	renewed time.Time // when it was got or renewed
	asked   time.Time // when it was last given
	tired   bool      // its greatest life is near
}

func newLeases(s *login.Session, most int, maxAge time.Duration) *leases {
	l := &leases{session: s, most: most, maxAge: maxAge, flights: flight.New[result](fetchTimeout), all: map[string]*lease{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// resolve gives the secret at a path, made now or before.
func (l *leases) resolve(ctx context.Context, path string) (result, error) {
	if r, ok := l.kept(path, l.maxAge); ok {
		return r, nil
	}
	r, err := l.flights.Do(ctx, path, func(ctx context.Context) (result, error) { return l.fetch(ctx, path) })
	if errors.Is(err, flight.ErrClosed) {
		err = errors.New("the store was released")
	}
	return r, err
}

// kept gives a secret that the server said stands, at most so long ago.
func (l *leases) kept(path string, ago time.Duration) (result, bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.all[path]
	if x == nil || !l.serves(x, now) || x.tired || now.Sub(x.seen) > ago {
		return result{}, false
	}
	x.asked = now
	return x.result(), true
}

// serves says whether a lease lasts. One that an earlier login got ends with that.
func (l *leases) serves(x *lease, now time.Time) bool {
	return now.Before(x.expires.Add(-x.margin())) && l.session.Current(x.login)
}

// margin is how long before its end a lease is not given any more.
func (x *lease) margin() time.Duration { return min(x.life/10, 30*time.Second) }

// result is what a lease gives; it was read when the server last said that the lease stands.
func (x *lease) result() result {
	return result{fields: x.fields, read: x.seen, until: x.expires.Add(-x.margin())}
}

func (l *leases) fetch(ctx context.Context, path string) (result, error) {
	l.mu.Lock()
	x := l.all[path]
	l.mu.Unlock()
	if x != nil && l.session.Current(x.login) {
		away := l.confirm(ctx, x)
		if away != nil {
			sdk.Logger(ctx).DebugContext(ctx, "a lease cannot be confirmed", "path", path, "error", away.Error())
		}
		if r, ok := l.kept(path, x.life); ok {
			if away != nil { // what stands by its time serves on, and the server is asked again after max_age
				r.read = time.Now()
			}
			return r, nil
		}
	}
	r, err := l.make(ctx, path)
	if err != nil && x != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.all[path] == x && l.serves(x, time.Now()) { // its greatest life is near, but not over
			return x.result(), nil
		}
	}
	return r, err
}

// confirm asks whether a lease stands, and renews it if that is due. One that does not is forgotten.
func (l *leases) confirm(ctx context.Context, x *lease) error {
	before := time.Now()
	l.mu.Lock()
	due := x.renewable && !x.tired && before.Sub(x.renewed) >= x.term*2/3
	l.mu.Unlock()
	if due {
		return l.renew(ctx, x)
	}
	_, err := l.session.Do(ctx, client.Request{Method: http.MethodPut, Path: "sys/leases/lookup", Body: map[string]any{"lease_id": x.id}})
	switch {
	case err == nil, client.Denied(err): // who may not ask has to believe
		l.mu.Lock()
		x.seen = before
		l.mu.Unlock()
		return nil
	case isGone(err):
		l.forget(x)
	}
	return err
}

// isGone says whether the server does not know a lease any more.
func isGone(err error) bool { return client.Status(err) == http.StatusBadRequest }

func (l *leases) renew(ctx context.Context, x *lease) error {
	before := time.Now()
	out, err := l.session.Do(ctx, client.Request{
		Method: http.MethodPut, Path: "sys/leases/renew", Body: map[string]any{"lease_id": x.id, "increment": int(x.life.Seconds())},
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && out.Secret != nil && out.LeaseDuration > 0:
		ttl := time.Duration(out.LeaseDuration) * time.Second
		x.expires, x.seen, x.renewed, x.term = before.Add(ttl), before, before, ttl
		x.tired = ttl < x.life/2
	case isGone(err) && client.Says(err, "lease is not renewable"):
		x.tired = true
	case isGone(err):
		if l.all[x.path] == x {
			delete(l.all, x.path)
		}
	case client.Denied(err):
		x.tired = true
	}
	return err
}

func (l *leases) forget(x *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[x.path] == x {
		delete(l.all, x.path)
	}
}

// make has the server make a secret.
func (l *leases) make(ctx context.Context, path string) (result, error) {
	if err := l.reserve(ctx, path); err != nil {
		return result{}, err
	}
	x, r, err := l.ask(ctx, path)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.making--
	if x == nil {
		return r, err
	}
	if old := l.all[path]; old != nil && x.seen.Before(old.expires) {
		l.past = append(l.past, old)
	}
	l.all[path] = x
	l.work.Go(func() { l.keep(x) })
	return x.result(), nil
}

// ask gives the lease that was made, or what needs none.
func (l *leases) ask(ctx context.Context, path string) (*lease, result, error) {
	before := time.Now()
	out, err := l.session.Do(ctx, client.Request{Method: http.MethodGet, Path: path, Once: true})
	if client.Status(err) == http.StatusNotFound {
		return nil, result{}, errNothing
	}
	if err != nil {
		return nil, result{}, explain(err, path, "read")
	}
	if out.Secret == nil || out.Data == nil {
		return nil, result{}, errNothing
	}
	life := time.Duration(out.LeaseDuration) * time.Second
	if out.LeaseID == "" || life <= 0 { // nothing is to be given back
		r := result{fields: out.Data, read: before}
		if life > 0 {
			r.until = before.Add(life)
		}
		return nil, r, nil
	}
	return &lease{
		path: path, id: out.LeaseID, fields: out.Data, login: out.Login, life: life, term: life, renewable: out.Renewable,
		expires: before.Add(life), seen: before, renewed: before, asked: before,
	}, result{}, nil
}

// reserve takes one of the places that max_leases gives, of which all that may stand have one. If none is free, the lease that was
// not asked for the longest is revoked, or the one of the path itself if that is not given any more.
func (l *leases) reserve(ctx context.Context, path string) error {
	now := time.Now()
	l.mu.Lock()
	l.prune(now)
	if len(l.all)+len(l.past)+l.making < l.most {
		l.making++
		l.mu.Unlock()
		return nil
	}
	idle := l.idle(path, now)
	if idle != nil {
		l.drop(idle)
		l.making++ // in its place
	}
	l.mu.Unlock()
	if idle == nil {
		return fmt.Errorf("the store holds %d leases that are in use, and max_leases allows no more", l.most)
	}
	err := l.revoke(ctx, idle)
	if err == nil || isGone(err) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.making--
	if l.all[idle.path] == nil {
		l.all[idle.path] = idle
	} else {
		l.past = append(l.past, idle)
	}
	return fmt.Errorf("max_leases allows %d leases, and one that is not in use cannot be revoked: %w", l.most, explain(err, "sys/leases/revoke", "update"))
}

// prune forgets what has ended. The lock is held.
func (l *leases) prune(now time.Time) {
	for at, x := range l.all {
		if !now.Before(x.expires) {
			delete(l.all, at)
		}
	}
	l.past = slices.DeleteFunc(l.past, func(x *lease) bool { return !now.Before(x.expires) })
}

// idle gives the lease that was not asked for the longest, of those which nobody keeps any more, or that of the path if that has
// to be replaced in any case; nil if all are in use. The lock is held.
func (l *leases) idle(path string, now time.Time) *lease {
	var idle *lease
	look := func(x *lease) {
		if x != l.all[path] && now.Sub(x.asked) > max(l.maxAge, time.Second) && (idle == nil || x.asked.Before(idle.asked)) {
			idle = x
		}
	}
	for _, x := range l.past {
		look(x)
	}
	for _, x := range l.all {
		look(x)
	}
	if own := l.all[path]; idle == nil && own != nil && !l.serves(own, now) {
		return own
	}
	return idle
}

// drop takes a lease out, to revoke it. The lock is held.
func (l *leases) drop(x *lease) {
	if l.all[x.path] == x {
		delete(l.all, x.path)
	}
	l.past = slices.DeleteFunc(l.past, func(y *lease) bool { return x == y })
}

// keep renews a lease in time while it is in use.
func (l *leases) keep(x *lease) {
	for {
		l.mu.Lock()
		wait := time.Until(x.renewed.Add(x.term * 2 / 3))
		if wait <= 0 { // it was tried
			wait = max(time.Until(x.expires)/2, time.Second)
		}
		l.mu.Unlock()
		t := time.NewTimer(wait)
		select {
		case <-l.ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		l.mu.Lock()
		held := l.all[x.path] == x && time.Now().Before(x.expires)
		use := x.renewable && !x.tired && x.asked.After(x.renewed)
		l.mu.Unlock()
		if !held {
			return
		}
		if use {
			_ = l.renew(l.ctx, x) // it is tried again, and the next caller asks too
		}
	}
}

func (l *leases) revoke(ctx context.Context, x *lease) error {
	_, err := l.session.Do(ctx, client.Request{Method: http.MethodPut, Path: "sys/leases/revoke", Body: map[string]any{"lease_id": x.id}})
	return err
}

// close makes no more, and revokes what may stand, whichever login got it: the token of a former one may live on.
func (l *leases) close() {
	l.flights.Close(closePatience) // what one still gets is revoked with the others
	l.stop()
	l.work.Wait()
	l.mu.Lock()
	all := l.past
	for _, x := range l.all {
		all = append(all, x)
	}
	l.all, l.past = map[string]*lease{}, nil
	l.mu.Unlock()
	now := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	slots := make(chan struct{}, revokers)
	var done sync.WaitGroup
	for _, x := range all {
		if !now.Before(x.expires) {
			continue
		}
		slots <- struct{}{}
		done.Go(func() {
			_ = l.revoke(ctx, x) // the end of the token that got it revokes it too, and time does
			<-slots
		})
	}
	done.Wait()
}
