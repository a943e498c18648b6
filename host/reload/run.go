package reload

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/lock"
)

// reload does what was asked for, and tells of it.
func (r *Reloader) reload(ctx context.Context, o Options, j *job) (Report, error) {
	if o.DryRun {
		return r.dryRun(ctx, o)
	}
	if r.deps.Notify != nil {
		r.deps.Notify(true)
		defer r.deps.Notify(false)
	}
	report, err := r.take(ctx, o, j)
	r.measure(err)
	if err != nil {
		r.refused(err)
	}
	return report, err
}

// refused tells why the daemon stays with what it had.
func (r *Reloader) refused(err error) {
	if errors.Is(err, ErrUnwatched) {
		r.deps.Logger.Warn(err.Error())
		return
	}
	r.deps.Logger.Error("the configuration was not reloaded; the former one serves on")
	for line := range strings.Lines(err.Error()) {
		r.deps.Logger.Error("not reloaded: " + strings.TrimRight(line, "\n"))
	}
}

// take loads the configuration and serves it.
func (r *Reloader) take(ctx context.Context, o Options, j *job) (Report, error) {
	cfg, diags := r.deps.Load()
	if err := diags.Err(); err != nil {
		return Report{}, r.note(ctx, err)
	}
	report, next, err := r.build(ctx, o, cfg)
	if err != nil {
		return report, r.note(ctx, err)
	}
	report.Warnings = append(slices.Clone(diags), report.Warnings...).Sort()
	err = r.serve(ctx, j, next, summary(report), &report)
	return report, err
}

// note keeps an audit line of a reload that came to nothing before anything was changed.
func (r *Reloader) note(ctx context.Context, err error) error {
	_ = r.deps.Audit.Record(ctx, audit.Event{Name: audit.ConfigReload, Outcome: audit.Refused, Detail: first(err)})
	return err
}

// first gives the first line of a reason, for the audit log: the others are from the configuration.
func first(err error) string {
	why, _, _ := strings.Cut(err.Error(), "\n")
	return why
}

// dryRun builds the configuration, says what is different, and leaves nothing behind.
func (r *Reloader) dryRun(ctx context.Context, o Options) (Report, error) {
	r.deps.Logger.Info("a dry run of a reload begins: plugins that do not start until it has ended are not those that serve")
	defer r.deps.Logger.Info("the dry run has ended; nothing was changed")
	cfg, diags := r.deps.Load()
	if err := diags.Err(); err != nil {
		return Report{}, err
	}
	report, next, err := r.build(ctx, o, cfg)
	if err != nil {
		return report, err
	}
	report.Warnings = append(slices.Clone(diags), report.Warnings...).Sort()
	r.drop(next)
	return report, nil
}

// build makes what cfg asks for beside what serves, and checks it. On an error nothing is left of it.
func (r *Reloader) build(ctx context.Context, o Options, cfg *config.Config) (report Report, next Serving, err error) {
	old, _ := r.serving()
	if err := config.Restart(old.Held.Config(), cfg).Err(); err != nil {
		return report, next, err
	}
	apply, err := r.deps.Outside(cfg)
	if err != nil {
		return report, next, err
	}
	sources, locked, err := r.deps.Sources(cfg)
	if err != nil {
		return report, next, err
	}
	r.attempt(sources)
	if old.Lock.InForce && !locked.InForce && !o.WithoutLock {
		return report, next, fmt.Errorf("%w If plugins are to run unlocked from now on: realmgate reload --without-lock", &lock.GoneError{Was: old.Lock})
	}
	set := r.deps.Catalog.Prepare(ctx, sources)
	if o.Fresh {
		set.Unshared()
	}
	return r.buildOn(ctx, o, judge{old: old, cfg: cfg, set: set, sources: sources, lock: locked}, apply)
}

// buildOn is build on a set, which is closed on an error.
func (r *Reloader) buildOn(ctx context.Context, o Options, j judge, apply func()) (report Report, next Serving, err error) {
	old, cfg, set, sources := j.old, j.cfg, j.set, j.sources
	defer func() {
		if err != nil {
			r.close(set)
		}
	}()
	j.plugins()
	if err := j.verdict(o); err != nil {
		return report, next, err
	}
	deps := r.deps.Build
	deps.Plugins, deps.Former = set, old.Held.Generation
	gen, diags := generation.Build(ctx, cfg, deps)
	if err := diags.Err(); err != nil {
		return report, next, err
	}
	j.generation(ctx, gen)
	if err := j.verdict(o); err != nil {
		gen.Release(context.WithoutCancel(ctx))
		return report, next, err
	}
	if err := ctx.Err(); err != nil {
		gen.Release(context.WithoutCancel(ctx))
		return report, next, ErrStopping
	}
	if old.Lock.InForce && !j.lock.InForce {
		diags = append(diags, config.Diagnostic{Warning: true, Summary: "the lock file " + old.Lock.File + " is gone: from now on every plugin runs that is there"})
	}
	report = Report{Blocks: config.Diff(old.Held.Config(), cfg, shown(set, sources)), Plugins: set.Changes(old.Set), Lock: lockChange(old.Lock, j.lock), Unserved: j.unserved, Unavailable: j.tolerated, Warnings: diags}
	return report, Serving{Held: generation.Hold(gen), Set: set, Sources: sources, Lock: j.lock, Apply: apply}, nil
}

// lockChange says what became of a lock file, as of a block.
func lockChange(before, after lock.State) string {
	switch {
	case !before.InForce && !after.InForce:
		return ""
	case !before.InForce:
		return config.Added
	case !after.InForce:
		return config.Removed
	case before != after:
		return config.Changed
	}
	return ""
}

// shown lets the settings of the parts be seen that came with the daemon: these take secrets as references only.
func shown(set *catalog.Set, sources []catalog.Source) config.Shown {
	return func(kind, typ string) bool {
		k, ok := kindOf(kind)
		if !ok {
			return false
		}
		offer, err := set.Find(k, typ)
		return err == nil && slices.ContainsFunc(sources, func(s catalog.Source) bool { return s.Name == offer.Plugin && s.Bundled })
	}
}

// serve switches to next, with a line in the audit log before and after. A plugin that was started for it and does not stay
// well undoes that.
func (r *Reloader) serve(ctx context.Context, j *job, next Serving, change string, report *Report) error {
	if r.deps.Before != nil {
		if err := r.deps.Before(ctx, next.Held.Generation); err != nil {
			r.drop(next)
			return r.note(ctx, err)
		}
	}
	took := false
	var why error // why it was not kept
	var failing []catalog.Failing
	err := r.deps.Audit.Around(ctx, audit.Event{Name: audit.ConfigReload, Change: change}, func() error {
		took = true
		if failing, why = r.switchTo(ctx, j, next, change, report); why != nil && !errors.Is(why, ErrUnwatched) {
			return errors.New(first(why))
		}
		return nil
	}, func(e *audit.Event) {
		if why != nil {
			e.Detail = why.Error()
			return
		}
		var details []string
		for _, f := range failing {
			details = append(details, f.Detail)
		}
		e.Detail = strings.Join(details, "; ")
	})
	if !took { // no line could be written
		r.drop(next)
		return err
	}
	return why
}

// switchTo serves next, unless a plugin does not stay well that was started for it. failing is what it has that does nothing yet.
func (r *Reloader) switchTo(ctx context.Context, j *job, next Serving, change string, report *Report) (failing []catalog.Failing, err error) {
	old, _ := r.serving()
	r.put(next)
	window := next.Held.Config().PluginHealthWindow
	if fresh := next.Set.Fresh(); len(fresh) > 0 && window > 0 {
		r.deps.Logger.Info("the new configuration serves; plugins that were started for it are watched", "plugins", strings.Join(fresh, ","), "for", window)
		j.watch(Watched{Plugins: fresh, For: window})
		err := next.Set.Healthy(ctx, old.Set, window)
		if ctx.Err() != nil { // both end with the daemon
			r.moveTo(next)
			return nil, ErrUnwatched
		}
		if err != nil {
			r.put(old)
			r.retire(next)
			return nil, fmt.Errorf("switched back to the former configuration: %w", blame(next.Held.Config(), err))
		}
		failing = next.Set.Failing()
	}
	for _, f := range failing {
		d := next.Held.Config().Plugin(f.Plugin).Diagnose("", f.Detail, "")
		d.Warning = true
		report.Warnings = append(report.Warnings, d)
	}
	report.Warnings = report.Warnings.Sort()
	r.moveTo(next)
	r.retire(old)
	r.deps.Logger.Info("configuration reloaded", "changes", change, "realms", len(next.Held.Config().Realms))
	r.deps.Logger.Info(next.Lock.String())
	for _, why := range report.Unavailable {
		r.deps.Logger.Warn("reloaded, although it is not available: " + why)
	}
	for _, d := range report.Warnings {
		r.deps.Logger.Warn(d.String())
	}
	return failing, nil
}

// put makes s what serves.
func (r *Reloader) put(s Serving) {
	r.deps.Holder.Switch(s.Held)
	s.Set.Activate()
	s.Apply()
	if r.deps.Meter != nil {
		r.deps.Meter.Serves(realmsOf(s.Held.Config()), time.Now())
	}
}

func realmsOf(cfg *config.Config) []string {
	out := make([]string, len(cfg.Realms))
	for n, r := range cfg.Realms {
		out[n] = r.Name
	}
	return out
}

// measure counts a reload that has ended.
func (r *Reloader) measure(err error) {
	if r.deps.Meter != nil && !errors.Is(err, ErrStopping) {
		r.deps.Meter.Reloaded(err == nil)
	}
}

// retire ends what no longer serves, when the requests have left that began with it, at the latest after the grace.
func (r *Reloader) retire(s Serving) {
	ended := make(chan struct{})
	r.work.Go(func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), max(s.Held.Config().ShutdownGrace, time.Second))
		defer cancel()
		if err := s.Held.Retire(ctx); err != nil {
			r.deps.Logger.Warn("requests that began before the reload are cut off", "error", err)
		}
		s.Set.Close(ctx)
	})
	r.work.Go(func() {
		<-ended              // nothing has s any more
		debug.FreeOSMemory() // two configurations of ten thousand realms were there at once
	})
}

// drop ends what never served.
func (r *Reloader) drop(s Serving) {
	s.Held.Release(context.WithoutCancel(r.ctx))
	r.close(s.Set)
}

// closeLimit bounds the end of plugins that were started in vain.
const closeLimit = 10 * time.Second

func (r *Reloader) close(set *catalog.Set) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), closeLimit)
	defer cancel()
	set.Close(ctx)
}

// summary says in one line what a reload changes: names, never values.
func summary(report Report) string {
	var out []string
	sign := map[string]string{config.Added: "+", config.Removed: "-", config.Changed: "~"}
	for _, b := range report.Blocks {
		out = append(out, sign[b.Change]+strings.TrimRight(b.Kind+" "+b.Name, " "))
	}
	if report.Lock != "" {
		out = append(out, sign[report.Lock]+"lock file")
	}
	for _, p := range report.Plugins.Replaced {
		out = append(out, "replace "+p.Name)
	}
	for _, p := range []struct {
		sign  string
		names []string
	}{{"start ", report.Plugins.Started}, {"stop ", report.Plugins.Stopped}, {"lose ", report.Plugins.Lost}, {"no longer serve realm ", report.Unserved}} {
		for _, name := range p.names {
			out = append(out, p.sign+name)
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// Follow builds the configuration that serves anew when a plugin has started that had failed before, until the daemon stops.
// No file is read again, nor is a plugin started: what an operator has begun to change is not taken. What is worse than what
// serves is refused.
func (r *Reloader) Follow() { r.work.Go(r.follow) }

func (r *Reloader) follow() {
	for r.ctx.Err() == nil {
		s, moved := r.serving()
		select {
		case <-r.ctx.Done():
			return
		case <-moved:
			continue
		case <-s.Set.Changed():
		}
		if r.rebuild(s) {
			continue
		}
		select { // what refused it may pass
		case <-r.ctx.Done():
		case <-moved:
		case <-time.After(rebuildPause):
		}
	}
}

const rebuildPause = 30 * time.Second

// rebuild builds s anew, unless it serves no more. It says whether there is a new generation.
func (r *Reloader) rebuild(s Serving) bool {
	if r.lock(r.ctx) != nil {
		return false
	}
	defer r.unlock()
	if now, _ := r.serving(); now.Held != s.Held {
		return true
	}
	report, next, err := r.buildOn(r.ctx, Options{}, judge{old: s, cfg: s.Held.Config(), set: s.Set.Again(r.ctx), sources: s.Sources, lock: s.Lock, again: true}, s.Apply)
	if err == nil {
		err = r.serve(r.ctx, newJob(), next, "a plugin that had not started, has", &report)
	}
	r.measure(err)
	if err != nil && !errors.Is(err, ErrStopping) {
		r.deps.Logger.Error("a plugin has started, but the configuration cannot be built with it")
		r.refused(err)
	}
	return err == nil
}
