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
	if err := r.lock(); err != nil {
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
	sources, locked, err := r.deps.Sources(cfg)
	if err != nil {
		return err
	}
	if old.Lock.InForce && (!locked.InForce || locked.Digest != old.Lock.Digest) {
		if !locked.InForce {
			return &lock.GoneError{Was: old.Lock}
		}
		return errors.New("its lock file is another one than the daemon's, which is in force: " + old.Lock.File)
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
