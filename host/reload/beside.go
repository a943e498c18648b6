package reload

import (
	"context"
	"errors"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/lock"
)

// Beside builds another configuration beside the one that serves, as a dry run does, has use work with it, and leaves nothing
// of it behind. Parts and plugins that both have are shared. What is at fault in it makes its realms unavailable; wrong settings
// are an error. The lock file that is in force is in force for it, too.
func (r *Reloader) Beside(ctx context.Context, cfg *config.Config, use func(*generation.Generation) error) error {
	r.mu.Lock()
	if r.ctx.Err() != nil {
		r.mu.Unlock()
		return ErrStopping
	}
	r.work.Add(1)
	r.mu.Unlock()
	defer r.work.Done()
	if err := r.lock(ctx); err != nil {
		return err
	}
	defer r.unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	old, _ := r.serving()
	if now := old.Held.Config(); now.Directory != cfg.Directory {
		return errors.New("its directory is another one than the daemon's: what it would decide depends on principals that the daemon does not know")
	}
	other := *cfg
	other.Folder, other.Files = old.Held.Config().Folder, old.Held.Config().Files // where the lock file is, and what makes it anew
	sources, locked, err := r.deps.Sources(&other)
	switch {
	case err != nil:
		return err
	case old.Lock.InForce && !locked.InForce:
		return &lock.GoneError{Was: old.Lock}
	case old.Lock.InForce && locked.Digest != old.Lock.Digest:
		return errors.New("the lock file " + old.Lock.File + " has changed since it came into force: reload first")
	}
	set := r.deps.Catalog.Prepare(ctx, sources)
	defer r.close(set)
	deps := r.deps.Build
	deps.Plugins, deps.Former, deps.Memory = set, old.Held.Generation, nil
	gen, diags := generation.Build(ctx, cfg, deps)
	if err := diags.Err(); err != nil {
		return err
	}
	defer gen.Release(context.WithoutCancel(ctx))
	return use(gen)
}
