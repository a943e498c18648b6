package generation_test

import (
	"context"
	"testing"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/plugins/default/parts"
	"github.com/realmgate/realmgate/sdk"
)

const benchKey = "0123456789012345678901234567890123456789"

// BenchmarkDecision is one decision of an internal realm: token broker, authenticator with a look-up in the directory,
// active-roles provider and the host's own checks. "process" goes through a real plugin process; "bare" calls the same
// parts in this process, as the limit that the process is measured against; "remembered" has been decided before.
func BenchmarkDecision(b *testing.B) {
	w := rememberingWorld(b)
	gen := w.build(b, "realm \"demo\" {\n  authentication {\n    token_broker {\n      type = \"symmetric-key\"\n      secret = \"urn:realmgate-secret:vars:KEY\"\n    }\n  }\n}\nsecret_store \"vars\" {\n  type = \"env\"\n  variables = [\"KEY\"]\n}\n")
	token := w.token(b, gen, "demo")
	p, err := gen.Plan("demo")
	if err != nil {
		b.Fatal(err)
	}
	run := func(decide func(context.Context, sdk.Request) pipeline.Decision) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if d := decide(context.Background(), sdk.Request{Scheme: "bearer", Token: token}); d.Verdict != pipeline.Allowed {
						b.Errorf("%v %v %v", d.Verdict, d.Denial, d.Err)
						return
					}
				}
			})
		}
	}
	b.Run("process", run(p.DecideAnew))
	b.Run("bare", run(barePlan(b, w).DecideAnew))
	b.Run("remembered", run(p.Decide))
}

// bare runs parts in this process.
type bare struct {
	host  sdk.Host
	steps []step
}

type step struct {
	kind sdk.Kind
	impl any
}

func (l bare) Run(ctx context.Context, s *sdk.State) error {
	ctx = sdk.WithHost(ctx, l.host)
	for _, x := range l.steps {
		if err := sdk.Step(ctx, x.kind, x.impl, s); err != nil {
			return err
		}
	}
	return nil
}

// bareHost answers look-ups from the same directory as the daemon does.
type bareHost struct {
	sdk.Host // for what it is not asked
	w        *world
}

func (h bareHost) FindPrincipal(ctx context.Context, ref sdk.PrincipalRef) (sdk.Principal, error) {
	return h.w.directory.FindPrincipal(ctx, "demo", ref)
}

func (h bareHost) ResolveSecret(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	return sdk.NewSecret([]byte(benchKey)), nil
}

func barePlan(b *testing.B, w *world) *pipeline.Plan {
	b.Helper()
	const issuer = "http://127.0.0.1:8642/realms/demo"
	leg := bare{host: bareHost{w: w}}
	for _, want := range []struct {
		kind     sdk.Kind
		typ      string
		settings string
	}{
		{sdk.KindTokenBroker, "symmetric-key", `{"secret":"urn:realmgate-secret:vars:KEY"}`},
		{sdk.KindAuthenticator, "default", `{}`},
		{sdk.KindActiveRolesProvider, "default", `{}`},
	} {
		for _, i := range parts.Implementations() {
			if i.Kind() != want.kind || i.Type() != want.typ {
				continue
			}
			impl, err := i.Build(sdk.WithHost(b.Context(), leg.host), sdk.Setup{Realm: "demo", Issuer: issuer, Audience: []string{issuer}}, []byte(want.settings))
			if err != nil {
				b.Fatal(err)
			}
			leg.steps = append(leg.steps, step{want.kind, impl})
		}
	}
	p, err := pipeline.NewPlan(pipeline.Config{
		Realm: "demo", Issuer: issuer, Audience: []string{issuer}, Mode: pipeline.ModeInternal, Timeout: 3e9,
		Internal: pipeline.Route{Schemes: []string{"bearer"}, Legs: []pipeline.Leg{leg}}, Admit: []pipeline.Leg{leg}, Verify: []pipeline.Leg{leg}, Standing: w.directory,
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}
