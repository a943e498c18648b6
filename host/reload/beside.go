package reload

import (
	"context"
	"errors"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/lock"
)

// errGaveWay says that a reload was asked for while something was built beside what serves.
var errGaveWay = errors.New("a reload was asked for")

// Beside builds another configuration beside the one that serves, as a dry run does, has use work with it, and leaves nothing
// of it behind. Parts and plugins that both have are shared. What is at fault in it makes its realms unavailable; wrong settings
// are an error. The lock file that is in force is in force for it, too.
//
// It takes its turn among the reloads, ends with ctx, and is waited for by [Reloader.Wait]. A reload that is asked for while it
// builds goes first: what was built is ended, and built once more after the reload. begun names the plugins of which processes
// were begun for it, also if there is an error.
func (r *Reloader) Beside(ctx context.Context, cfg *config.Config, use func(context.Context, *generation.Generation) error) (begun []string, err error) {
	for {
		r.mu.Lock()
		if r.ctx.Err() != nil { // Wait may have looked already
			r.mu.Unlock()
			return begun, ErrStopping
		}
		calm := r.calm
		r.work.Add(1)
		r.mu.Unlock()
		more, err := r.beside(ctx, calm, cfg, use)
		r.work.Done()
		begun = append(begun, more...)
		if !errors.Is(err, errGaveWay) {
			return begun, err
		}
	}
}

// beside builds cfg once, and gives way when calm ends.
func (r *Reloader) beside(ctx, calm context.Context, cfg *config.Config, use func(context.Context, *generation.Generation) error) (begun []string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.ctx, func() { cancel(ErrStopping) })()
	stay := context.AfterFunc(calm, func() { cancel(errGaveWay) })
	defer stay()
	if err := r.lock(ctx); err != nil {
		return nil, err
	}
	defer r.unlock()
	old, _ := r.serving()
	sources, err := r.sourcesBeside(old, cfg)
	if err != nil {
		return nil, err
	}
	set := r.deps.Catalog.Prepare(ctx, sources)
	defer func() {
		r.close(set)
		begun = set.Begun()
	}()
	deps := r.deps.Build
	deps.Plugins, deps.Former, deps.Memory = set, old.Held.Generation, nil
	gen, diags := generation.Build(ctx, cfg, deps)
	if gen != nil {
		defer gen.Release(context.WithoutCancel(ctx))
	}
	stay() // from here on it is a matter of one decision
	switch {
	case r.ctx.Err() != nil:
		return nil, ErrStopping
	case ctx.Err() != nil: // what is missing in it is so for that
		return nil, context.Cause(ctx)
	case diags.Err() != nil:
		return nil, diags.Err()
	}
	return nil, use(ctx, gen)
}

// sourcesBeside gives the plugins of a configuration, unless it cannot be built beside the one that serves.
func (r *Reloader) sourcesBeside(old Serving, cfg *config.Config) ([]catalog.Source, error) {
	if now := old.Held.Config(); now.Directory != cfg.Directory {
		return nil, errors.New("its directory is another one than the daemon's: what it would decide depends on principals that the daemon does not know")
	}
	other := *cfg
	other.Folder, other.Files = old.Held.Config().Folder, old.Held.Config().Files // where the lock file is, and what makes it anew
	sources, locked, err := r.deps.Sources(&other)
	switch {
	case err != nil:
		return nil, err
	case old.Lock.InForce && !locked.InForce:
		return nil, &lock.GoneError{Was: old.Lock}
	case old.Lock.InForce && locked.Digest != old.Lock.Digest:
		return nil, errors.New("the lock file " + old.Lock.File + " has changed since it came into force: reload first")
	}
	return sources, nil
}
