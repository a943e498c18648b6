package generation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/host/settings"
	"github.com/realmgate/realmgate/host/token"
	"github.com/realmgate/realmgate/sdk"
)

// Deps are the rooms that a generation is built on.
type Deps struct {
	Plugins   Plugins
	Directory Directory
	// LookupEnv reads the environment of the daemon for secret stores, as os.LookupEnv does.
	LookupEnv func(string) (string, bool)
	// Door guards the token endpoints; it outlives generations, which bring their own rules. nil: they are not guarded.
	Door  *limit.Door
	Audit *audit.Log // of the token endpoints; nil: none
	// Memory remembers decisions, over all generations, each of which sees its own only; nil: nothing is remembered.
	Memory *remember.Memory
	// Decide decides in place of the plans, as who explains each decision does; nil: they decide themselves.
	Decide func(ctx context.Context, g *Generation, realm string, req sdk.Request) pipeline.Decision
	// SecretCounts counts the reads of secrets, over all generations; nil: nothing does.
	SecretCounts *secret.Counts
	// Former is the generation that serves now; nil: none. Token services of brokers that both have know what they knew there.
	Former *Generation
	Logger hclog.Logger
}

// Build builds a configuration. Diagnostics with an error mean that the configuration is at fault; the generation is nil
// and nothing is left in the plugins. A plugin that is at fault (it does not start, it does not answer) takes down only the
// realms that name it: they are marked, see Generation.Realms.
func Build(ctx context.Context, cfg *config.Config, deps Deps) (*Generation, config.Diagnostics) {
	b := &builder{cfg: cfg, deps: deps, gen: &Generation{
		plugins: deps.Plugins, config: cfg, secrets: secret.New(nil), realms: map[string]*realm{}, hosts: map[string]string{},
	}, bases: map[string]string{}, doubted: map[offered]bool{}, index: newIndex(cfg)}
	b.logs.token, b.logs.connection, b.logs.custody = deps.Logger.Named("token"), deps.Logger.Named("connection"), deps.Logger.Named("custody")
	b.gen.secrets.CountIn(deps.SecretCounts)
	if deps.Memory != nil {
		b.gen.memory = deps.Memory.Section()
	}
	b.stores(ctx)
	b.parts(ctx)
	for _, r := range cfg.Realms {
		b.realm(r)
	}
	b.tellOfUnremembered()
	b.warnOfUnmet()
	b.warnOfTypes()
	b.diags = distinct(append(b.diags, b.gen.unknown...))
	if slices.ContainsFunc(b.diags, func(d config.Diagnostic) bool { return !d.Warning }) {
		b.gen.Release(context.WithoutCancel(ctx))
		return nil, b.diags
	}
	return b.gen, b.diags
}

// distinct drops what is said more than once: realms that inherit a part have the same to say about it.
func distinct(all config.Diagnostics) config.Diagnostics {
	seen := map[config.Diagnostic]bool{}
	return slices.DeleteFunc(all.Sort(), func(d config.Diagnostic) bool {
		again := seen[d]
		seen[d] = true
		return again
	})
}

type builder struct {
	cfg   *config.Config
	deps  Deps
	gen   *Generation
	diags config.Diagnostics
	index index

	active  spread
	tenants map[string]*tenant
	realms  map[string]realmParts
	vendor  map[string]*spread // by the type of authentication
	stored  map[string]secret.StoreInfo
	unmet   []*unmet
	doubted map[offered]bool  // types that nobody offers who runs, and that were told of
	bases   map[string]string // of the stores that are configured, by name
	logs    struct{ token, connection, custody hclog.Logger }
}

type offered struct {
	kind sdk.Kind
	typ  string
}

type tenant struct{ provider, principal, roles spread }

type realmParts struct{ authenticator, broker built }

// built is one instance, or why there is none.
type built struct {
	handle catalog.Handle
	offer  catalog.Offer
	err    error
}

// wanted is an instance to be: what to configure, the part of the configuration that blame falls on, and where to put it.
type wanted struct {
	kind  sdk.Kind
	part  config.Part
	setup sdk.Setup
	into  *built

	internal bool // for a realm that has tokens of its own
	optional bool // a built-in default: the configuration is not to blame if there is none
}

// configure builds a batch of instances and turns what the plugins say into diagnostics.
func (b *builder) configure(ctx context.Context, all []wanted) {
	batch, asked := make([]catalog.Instance, 0, len(all)), make([]wanted, 0, len(all))
	for _, w := range all {
		offer, err := b.deps.Plugins.Find(w.kind, w.part.Type)
		if err != nil {
			b.unknownType(w, err)
			continue
		}
		if offer.ExternalOnly && w.internal {
			b.diags = append(b.diags, w.part.Diagnose("/type", fmt.Sprintf("the %v %q is for external realms only, and realm %s has tokens of its own", w.kind, w.part.Type, w.setup.Realm),
				"It believes what a foreign identity says of itself; a realm with tokens of its own has a directory.", false, nil))
			w.into.err = errors.New("for external realms only")
			continue
		}
		refs, ok := b.references(w.part)
		if !ok {
			w.into.err = errors.New("a secret reference is wrong")
			continue
		}
		w.into.offer = offer
		b.miss(w, offer)
		w.setup.RolePrefix = b.cfg.RolePrefix
		batch = append(batch, catalog.Instance{Kind: w.kind, Type: w.part.Type, Settings: w.part.Settings, Setup: w.setup, Refs: refs, Secrets: b.gen.secrets, Basis: b.basis(refs)})
		asked = append(asked, w)
	}
	if len(batch) == 0 {
		return
	}
	handles, diags := b.deps.Plugins.Configure(ctx, batch)
	for _, d := range diags {
		w := asked[d.Index]
		if d.Unavailable { // the catalog goes on trying; the instance may come to be without us
			b.pending(w, d)
			continue
		}
		b.diags = append(b.diags, w.blame(d))
		if !d.Warning {
			w.into.err = errors.New(d.Summary)
		}
	}
	b.gen.handles, b.gen.parts = slices.Grow(b.gen.handles, len(asked)), slices.Grow(b.gen.parts, len(asked)) // no more than they take: they stay
	for i, w := range asked {
		switch {
		case w.into.err != nil:
		case handles[i].IsZero():
			w.into.err = errors.New("it could not be configured")
		default:
			w.into.handle = handles[i]
			b.gen.handles = append(b.gen.handles, handles[i])
			b.gen.parts = append(b.gen.parts, newPart(w, handles[i]))
		}
	}
}

// blame says at its place what a plugin says of a setting. A line is shown if the plugin's schema knows that no secret belongs there,
// and the plugin does not say otherwise.
func (w wanted) blame(d catalog.Diagnostic) config.Diagnostic {
	schema, _ := settings.Read(w.into.offer.SettingsSchema, w.into.offer.Bundled) // one that cannot be read declares nothing
	out := w.part.Diagnose(d.Path, fmt.Sprintf("%v %q: %s", w.kind, w.part.Type, d.Summary), d.Detail, d.Warning || w.optional, schema.Shows)
	if d.Sensitive {
		out.Snippet = ""
	}
	return out
}

// pending says that a part cannot be built now although its settings may be right.
func (b *builder) pending(w wanted, d catalog.Diagnostic) {
	b.diags = append(b.diags, w.part.Blame(fmt.Sprintf("%v %q is not available now, and will be tried again: %s", w.kind, w.part.Type, d.Summary), true))
}

// unknownType blames the configuration; where a plugin that did not start may be the one that offers the type it warns, at the
// first place of the type.
func (b *builder) unknownType(w wanted, err error) {
	w.into.err = err
	if w.optional {
		return
	}
	var known []string
	doubt := false
	if unknown, ok := errors.AsType[*catalog.UnknownTypeError](err); ok {
		known, doubt = unknown.Known, len(unknown.Broken) > 0
	}
	detail := ""
	if s := config.Suggest(w.part.Type, known); s != "" {
		detail = fmt.Sprintf("Did you mean %q?", s)
	}
	d := w.part.Diagnose("/type", err.Error(), detail, doubt, nil)
	if !doubt {
		b.diags = append(b.diags, d)
		return
	}
	if of := (offered{w.kind, w.part.Type}); !b.doubted[of] {
		b.doubted[of] = true
		b.gen.unknown = append(b.gen.unknown, d)
	}
}

// references finds the secret references in a part's settings and blames those that name no store.
func (b *builder) references(p config.Part) ([]sdk.SecretRef, bool) {
	found, diags := references(p)
	for _, f := range found {
		if !b.index.stores[f.ref.Store()] {
			diags = append(diags, p.Diagnose(f.pointer, fmt.Sprintf("there is no secret_store %q", f.ref.Store()), "", false, nil))
		}
	}
	b.diags = append(b.diags, diags...)
	refs := make([]sdk.SecretRef, len(found))
	for i, f := range found {
		refs[i] = f.ref
	}
	return refs, len(diags) == 0
}

// parts configures everything but the secret stores, in one batch.
func (b *builder) parts(ctx context.Context) {
	all := b.wantFor(&b.active, wanted{kind: sdk.KindActiveRolesProvider, part: b.cfg.ActiveRoles}, b.index.realms)
	all = slices.Grow(all, 3*len(b.cfg.Tenants)+2*len(b.cfg.Realms))
	b.tenants = map[string]*tenant{}
	for _, t := range b.cfg.Tenants {
		x := &tenant{}
		b.tenants[t.Name] = x
		setup, users := sdk.Setup{Tenant: t.Name}, b.index.users[t.Name]
		all = append(all, b.wantFor(&x.provider, wanted{kind: sdk.KindIdentityProvider, part: t.IdentityProvider, setup: setup}, users)...)
		all = append(all, b.wantFor(&x.principal, wanted{kind: sdk.KindPrincipalMapper, part: t.PrincipalMapper, setup: setup}, users)...)
		all = append(all, b.wantFor(&x.roles, wanted{kind: sdk.KindPrincipalRolesMapper, part: t.PrincipalRolesMapper, setup: setup}, users)...)
	}
	realms := map[string]*realmParts{}
	for _, r := range b.cfg.Realms {
		x := &realmParts{}
		realms[r.Name] = x
		setup := sdk.Setup{Realm: r.Name, Issuer: r.Issuer, Audience: r.Audience}
		all = append(all, wanted{kind: sdk.KindAuthenticator, part: r.Authentication.Authenticator, setup: setup, into: &x.authenticator, internal: r.Authentication.Type != config.External})
		if r.Authentication.Type != config.External {
			all = append(all, wanted{kind: sdk.KindTokenBroker, part: r.Authentication.TokenBroker, setup: setup, into: &x.broker})
		}
	}
	all = append(all, b.vendors()...)
	b.configure(ctx, all)
	b.realms = map[string]realmParts{}
	for n, x := range realms {
		b.realms[n] = *x
	}
}

var modes = map[string]pipeline.Mode{
	config.Internal: pipeline.ModeInternal, config.External: pipeline.ModeExternal, config.Mixed: pipeline.ModeMixed,
}

func (b *builder) realm(r config.Realm) {
	out := &realm{mode: modes[r.Authentication.Type]}
	b.gen.realms[r.Name] = out
	for _, h := range r.Hosts {
		b.gen.hosts[h] = r.Name
	}
	b.connections(r, out)
	out.plan, out.err = b.plan(r, out.mode)
	if out.err != nil || out.mode == pipeline.ModeExternal || r.Authentication.TokenService.Type == "disabled" {
		return
	}
	ts, x := r.Authentication.TokenService, b.realms[r.Name].broker
	broker := b.deps.Plugins.Broker(x.handle, r.Name)
	c := token.Config{
		Realm: r.Name, Issuer: r.Issuer, Audience: r.Audience, URL: strings.TrimSuffix(b.cfg.PublicURL, "/") + "/realms/" + r.Name,
		RolePrefix: b.cfg.RolePrefix, DefaultScope: ts.DefaultScope, ScopeAliases: ts.ScopeAliases, MaxSession: ts.MaxSession,
		Directory: b.deps.Directory, Broker: broker, Plan: out.plan, Audit: b.deps.Audit, Logger: b.logs.token,
	}
	if slices.Contains(x.offer.Abilities, sdk.AbilityKeyPublisher) {
		c.Keys = broker
	}
	if b.deps.Door != nil {
		guard, err := b.deps.Door.Guard(r.Name, limit.Rules(ts.Limit), b.deps.Directory)
		if err != nil {
			out.err = err
			return
		}
		c.Guard = guard
	}
	out.broker = x.handle
	if f := b.deps.Former; f != nil && f.realms[r.Name] != nil && f.realms[r.Name].broker == x.handle {
		c.Former = f.realms[r.Name].tokens
	}
	out.tokens, out.err = token.New(c)
}

func (b *builder) plan(r config.Realm, mode pipeline.Mode) (*pipeline.Plan, error) {
	c := pipeline.Config{
		Realm: r.Name, Issuer: r.Issuer, Audience: r.Audience, Mode: mode,
		Timeout: r.Authentication.Timeout, Standing: b.deps.Directory,
		MaxCache: r.Authentication.Cache.MaxAge, MaxDenied: r.Authentication.Cache.DeniedMaxAge,
	}
	if b.gen.memory != nil {
		c.Memory = b.gen.memory
	}
	if b.deps.Decide != nil {
		c.Instead = instead{b.gen, b.deps.Decide}
	}
	var err error
	parts := b.realms[r.Name]
	tail := []built{parts.authenticator, b.active.of(r.Name)}
	var stages []built
	for _, x := range append([]built{parts.broker}, tail...) {
		if !x.handle.IsZero() {
			b.gen.realms[r.Name].handles = append(b.gen.realms[r.Name].handles, x.handle)
		}
	}
	if mode != pipeline.ModeExternal {
		stages = append(stages, append([]built{parts.broker}, tail...)...)
		if c.Internal, err = b.route(r.Name, stages); err != nil {
			return nil, err
		}
		if c.Admit, err = b.legs(r.Name, tail); err != nil {
			return nil, err
		}
		if c.Verify, err = b.legs(r.Name, []built{parts.broker}); err != nil {
			return nil, err
		}
	}
	if mode != pipeline.ModeInternal {
		c.Tenant = r.Tenant
		foreign := b.tenants[r.Tenant].of(r.Name)
		for _, x := range foreign {
			b.gen.realms[r.Name].handles = append(b.gen.realms[r.Name].handles, x.handle)
		}
		foreign = append(foreign, tail...)
		stages = append(stages, foreign...)
		if c.External, err = b.route(r.Name, foreign); err != nil {
			return nil, err
		}
	}
	if c.Memory != nil && (c.MaxCache > 0 || c.MaxDenied > 0) {
		b.mayRemember(r.Name, stages)
		c.Alone = slices.ContainsFunc(stages, func(s built) bool { return !s.offer.Cacheable })
	}
	return pipeline.NewPlan(c)
}

// schemes gives the authentication schemes that a verifier takes, lower case.
func schemes(o catalog.Offer) []string {
	if len(o.Schemes) == 0 {
		return []string{"bearer"}
	}
	return o.Schemes
}

// route makes legs for a realm of stages whose first one verifies.
func (b *builder) route(realm string, stages []built) (pipeline.Route, error) {
	legs, err := b.legs(realm, stages)
	if err != nil {
		return pipeline.Route{}, err
	}
	r := pipeline.Route{Schemes: schemes(stages[0].offer), Legs: legs}
	for _, s := range stages {
		r.NeedsHTTP = r.NeedsHTTP || s.offer.NeedsHTTP
	}
	return r, nil
}

// legs cuts stages where the plugin changes: what one process serves in a row goes there in one message.
func (b *builder) legs(realm string, stages []built) ([]pipeline.Leg, error) {
	var faults []string
	for _, s := range stages {
		if s.err != nil {
			faults = append(faults, s.err.Error())
		}
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	var legs []pipeline.Leg
	for len(stages) > 0 {
		n := 1
		for n < len(stages) && stages[n].offer.Plugin == stages[0].offer.Plugin {
			n++
		}
		run := make([]catalog.Handle, n)
		for i := range run {
			run[i] = stages[i].handle
		}
		leg, err := b.deps.Plugins.Leg(realm, run)
		if err != nil {
			return nil, err
		}
		legs, stages = append(legs, leg), stages[n:]
	}
	return legs, nil
}
