package catalog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Instance is one instance to be.
type Instance struct {
	Kind     sdk.Kind
	Type     string
	Settings []byte          // a JSON object
	Setup    sdk.Setup       // if it names a realm, as that of a kind whose scope is one does, the instance is called for no other one
	Refs     []sdk.SecretRef // the references in its settings: it may resolve these whoever it is called for
	Secrets  Secrets         // gives it their values; nil: those of Options
	Basis    string          // what else it depends on, e.g. the settings of the stores of Refs: another one is another instance
}

// serves says whether the instance may be called for a realm: one that has a realm, as those of a kind whose scope is one do,
// serves that realm only.
func (i *Instance) serves(realm string) bool {
	switch i.Kind {
	case sdk.KindAuthenticator, sdk.KindTokenBroker:
		return realm == i.Setup.Realm
	}
	return i.Setup.Realm == "" || realm == i.Setup.Realm
}

// Diagnostic is what there is to say about one instance.
type Diagnostic struct {
	Index           int // in what was given to Configure
	Warning         bool
	Path            string // JSON pointer (RFC 6901) into the settings; empty for the whole block
	Summary, Detail string
	Sensitive       bool // the value at Path may be a secret
	Unavailable     bool // the settings may be right: the instance could not be built now and is tried again
	Shared          bool // the instance is one that another set has, too
}

// instance is a configured instance, or one that is being configured.
type instance struct {
	p       *supervised
	id      uint64
	group   uint64   // the call of Configure that it came with
	in      Instance // without Secrets
	mark    fingerprint
	bound   atomic.Pointer[binding]
	records records
	fault   atomic.Pointer[string] // why it could not be configured

	secrets atomic.Pointer[Secrets] // those of the set that prefers names

	confided confided

	// Guarded by p.mu:
	life    life
	uses    []use
	prefers *Set
	said    []rpc.Diagnostic // by the plugin, when it was built last
}

// life says whether an instance is among those that its plugin keeps configured.
type life uint8

const (
	unborn life = iota
	living
	released
)

// binding says which process serves an instance, and under which id. An id is not used twice on a process.
type binding struct {
	x  *process
	id uint64
}

// String gives kind and type, like principal-mapper(badge).
func (i *instance) String() string { return fmt.Sprintf("%v(%s)", i.in.Kind, i.in.Type) }

// whose says which part of the configuration an instance is of, as pairs for a log: realm, tenant, store or authentication type.
func (i *instance) whose() []any {
	for _, x := range [][2]string{{"realm", i.in.Setup.Realm}, {"tenant", i.in.Setup.Tenant}, {"store", i.in.Setup.Store}, {"authentication_type", i.in.Setup.AuthenticationType}} {
		if x[1] != "" {
			return []any{x[0], x[1]}
		}
	}
	return nil
}

// at says where the instance is served now; an error of ErrUnavailable if nowhere.
func (i *instance) at() (*binding, error) {
	if b := i.bound.Load(); b != nil {
		return b, nil
	}
	why := "it was released"
	i.p.mu.Lock()
	if i.life == living {
		why = "the plugin is " + string(i.p.state)
		if f := i.fault.Load(); i.p.state == StateReady && f != nil {
			why = "it could not be configured: " + *f
		}
	}
	i.p.mu.Unlock()
	return nil, fmt.Errorf("plugin %s: %v: %w: %s", i.p.src.Name, i, ErrUnavailable, why)
}

// Configure gives instances, in the order of in. It takes those that live already where another set has one that is equal in
// all but its Secrets, see [Set.Unshared], and makes the others, batch by batch of each plugin; the plugins work side by side.
//
// An instance whose settings are wrong, or whose type nobody offers, has the zero Handle and a diagnostic that is not a
// warning. The others live until the last set that has them releases them, also those that could not be built now, which a
// diagnostic with Unavailable says: they are tried again until they can be called.
//
// Instances that resolve secrets through others are configured after these, by a further call.
func (s *Set) Configure(ctx context.Context, in []Instance) ([]Handle, []Diagnostic) {
	handles := make([]Handle, len(in))
	found := make([][]Diagnostic, len(in))
	batches := s.batches(in, found)
	var wg sync.WaitGroup
	for _, b := range batches {
		wg.Go(func() {
			s.begin(ctx, b.p)
			b.build(ctx)
		})
	}
	wg.Wait()
	var refused []Handle
	for _, b := range batches {
		for _, w := range b.wants {
			if f := firstError(w.said); f == nil || f.Unavailable {
				handles[w.index] = Handle{w.inst}
			} else {
				refused = append(refused, Handle{w.inst})
			}
			for _, d := range w.said {
				found[w.index] = append(found[w.index], Diagnostic{
					Index: w.index, Warning: d.Warning, Path: d.Path, Summary: d.Summary, Detail: d.Detail, Sensitive: d.Sensitive, Unavailable: d.Unavailable, Shared: w.shared})
			}
		}
	}
	s.keep(handles)
	s.Release(ctx, refused)
	select {
	case <-s.closed: // meanwhile
		s.Release(ctx, handles)
	default:
	}
	return handles, slices.Concat(found...)
}

// batch is what one call of Configure wants of one plugin.
type batch struct {
	p     *supervised
	wants []want
}

// want is an instance that is wanted, and what there is to say about it.
type want struct {
	index  int // in what was given to Configure
	inst   *instance
	shared bool
	said   []rpc.Diagnostic
}

// batches sorts what is wanted by plugin. What nobody offers is noted in found.
func (s *Set) batches(in []Instance, found [][]Diagnostic) []*batch {
	group := s.c.groups.Add(1)
	s.mu.Lock()
	unshared := s.unshared
	s.mu.Unlock()
	var out []*batch
	of := map[*supervised]*batch{}
	for n, i := range in {
		p, err := s.find(i.Kind, i.Type)
		if err == nil {
			p, err = s.apart(p, &i)
		}
		if err != nil {
			found[n] = []Diagnostic{{Index: n, Summary: err.Error()}}
			continue
		}
		b := of[p]
		if b == nil {
			b = &batch{p: p}
			of[p], out = b, append(out, b)
		}
		w := want{index: n}
		mark := s.c.fingerprint(&i)
		if !unshared {
			w.inst, w.said = p.share(s, mark, i)
		}
		if w.shared = w.inst != nil; !w.shared {
			w.inst = &instance{p: p, id: s.c.ids.Add(1), group: group, mark: mark, uses: []use{{s, i.Secrets, true}}}
			w.inst.prefer(0)
			i.Secrets = nil // they may be given up before the instance
			w.inst.in = i
		}
		b.wants = append(b.wants, w)
	}
	return out
}

// build builds what is not there already.
func (b *batch) build(ctx context.Context) {
	var todo []*instance
	var at []int
	for n, w := range b.wants {
		if !w.shared || w.inst.bound.Load() == nil {
			todo, at = append(todo, w.inst), append(at, n)
		}
	}
	b.p.mu.Lock()
	x := b.p.live
	b.p.mu.Unlock()
	for n, ds := range b.p.configure(ctx, x, todo) {
		b.wants[at[n]].said = ds
	}
}
