package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// house is a host for examples, and for tests: what it has is what is found.
type house struct {
	sdk.UnimplementedHost // what a Host may have besides
	principals            map[string]sdk.Principal
	keys                  map[string]sdk.AccessKey
	secrets               map[string]string // by path
}

func (h house) FindPrincipal(_ context.Context, ref sdk.PrincipalRef) (sdk.Principal, error) {
	p, ok := h.principals[ref.Name]
	if !ok {
		return p, sdk.Forbid("principal_unknown", "there is no such principal")
	}
	return p, nil
}

func (h house) FindAccessKey(_ context.Context, id string) (sdk.AccessKey, error) {
	k, ok := h.keys[id]
	if !ok {
		return k, sdk.Deny("access_key_unknown", "there is no such access key")
	}
	return k, nil
}

func (h house) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	value, ok := h.secrets[ref.Path()]
	if !ok {
		return sdk.Secret{}, errors.New("the store has no such secret")
	}
	return sdk.NewSecret([]byte(value)), nil
}

func ExampleDeny() {
	err := sdk.Deny("claim_missing", "the token has no claim %q", "badge")
	fmt.Println(err)
	fmt.Println(sdk.AsDenial(err).Forbidden)
	// Output:
	// denied: claim_missing: the token has no claim "badge"
	// false
}

func ExampleForbid() {
	err := sdk.Forbid("principal_disabled", "the principal is disabled")
	fmt.Println(err, sdk.AsDenial(err).Forbidden)
	// Output: denied: principal_disabled: the principal is disabled true
}

// What is not a denial is our fault: the decision is unavailable.
func ExampleAsDenial() {
	fmt.Println(sdk.AsDenial(fmt.Errorf("map: %w", sdk.Deny("a", "b"))).Reason)
	fmt.Println(sdk.AsDenial(errors.New("the database does not answer")) == nil)
	// Output:
	// a
	// true
}

func ExampleNotMine() {
	fmt.Println(sdk.AsDenial(sdk.NotMine()).Reason)
	// Output: not_mine
}

// A stage runs as in a decision with Step, which gives what was said about remembering.
func ExampleCacheFor() {
	st := &sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &sdk.Identity{}}
	err := sdk.Step(context.Background(), sdk.KindPrincipalMapper, mapperFunc(func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
		sdk.CacheFor(ctx, 10*time.Second)
		return sdk.PrincipalRef{Name: "ada"}, nil
	}), st)
	fmt.Println(st.Ref.Name, st.Cache.MaxAge, err)
	// Output: ada 10s <nil>
}

func ExampleNoCache() {
	st := &sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &sdk.Identity{}}
	err := sdk.Step(context.Background(), sdk.KindPrincipalMapper, mapperFunc(func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
		sdk.NoCache(ctx)
		return sdk.PrincipalRef{Name: "ada"}, nil
	}), st)
	fmt.Println(st.Cache.NoStore, err)
	// Output: true <nil>
}

func ExampleStep() {
	st := &sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"7"}`))}}
	err := sdk.Step(context.Background(), sdk.KindPrincipalMapper, &badges{"badge"}, st)
	fmt.Println(st.Ref.Name, err)
	// Output: emp-7 <nil>
}

type mapperFunc func(context.Context, sdk.Identity) (sdk.PrincipalRef, error)

func (f mapperFunc) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	return f(ctx, id)
}

func ExampleNotesOf() {
	st := &sdk.State{Request: &sdk.Request{Realm: "r"}, Identity: &sdk.Identity{}, Notes: &sdk.Notes{}} // the decision is explained
	_ = sdk.Step(context.Background(), sdk.KindPrincipalMapper, mapperFunc(func(ctx context.Context, _ sdk.Identity) (sdk.PrincipalRef, error) {
		if n := sdk.NotesOf(ctx); n != nil { // most decisions are not
			n.Add("the claim %s is %q", "badge", "7")
		}
		return sdk.PrincipalRef{Name: "emp-7"}, nil
	}), st)
	fmt.Println(st.Notes.List())
	// Output: [the claim badge is "7"]
}

func ExampleFindPrincipal() {
	ctx := sdk.WithHost(context.Background(), house{principals: map[string]sdk.Principal{"ada": {Name: "ada", Enabled: true, Roles: []string{"ops"}}}})
	p, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{Name: "ada"})
	fmt.Println(p.Roles, err)
	// Output: [ops] <nil>
}

func ExampleFindAccessKey() {
	ctx := sdk.WithHost(context.Background(), house{keys: map[string]sdk.AccessKey{"rgak1": {ID: "rgak1", Principal: sdk.PrincipalRef{Name: "ada"}, Enabled: true}}})
	k, err := sdk.FindAccessKey(ctx, "rgak1")
	fmt.Println(k.Principal.Name, k.Enabled, err)
	_, err = sdk.FindAccessKey(ctx, "rgak2")
	fmt.Println(err)
	// Output:
	// ada true <nil>
	// denied: access_key_unknown: there is no such access key
}

// A test gives a host of its own.
func ExampleWithHost() {
	ctx := sdk.WithHost(context.Background(), house{secrets: map[string]string{"key": "hunter2"}})
	ref, _ := sdk.ParseSecretRef("urn:realmgate-secret:store:key")
	secret, err := ref.Value(ctx)
	fmt.Println(secret, len(secret.Reveal()), err)
	// Output: [secret] 7 <nil>
}

func ExampleLogger() {
	plain := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	ctx := sdk.WithLogger(context.Background(), plain) // as a test does; in a plugin the context has one
	sdk.Logger(ctx).Info("looked up", "badge", 7, "key", sdk.NewSecret([]byte("hunter2")))
	// Output: level=INFO msg="looked up" badge=7 key=[secret]
}

func ExampleWithLogger() { ExampleLogger() }

func ExampleRequestID() {
	ctx := sdk.WithRequestID(context.Background(), "req-7") // the serving side does it
	fmt.Println(sdk.RequestID(ctx))
	// Output: req-7
}

func ExampleWithRequestID() { ExampleRequestID() }

// What is asked of another server on behalf of a request carries its trace.
func ExampleTraceParent() {
	ctx := sdk.WithTraceParent(context.Background(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") // the serving side does it
	fmt.Println(sdk.TraceParent(ctx))
	fmt.Println(sdk.TraceID(ctx))
	// Output:
	// 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
	// 4bf92f3577b34da6a3ce929d0e0e4736
}

func ExampleTraceID() { ExampleTraceParent() }

func ExampleWithTraceParent() { ExampleTraceParent() }

func ExampleParseTrace() {
	fmt.Println(sdk.ParseTrace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").ID())
	fmt.Printf("%q\n", sdk.ParseTrace("nonsense"))
	// Output:
	// 4bf92f3577b34da6a3ce929d0e0e4736
	// ""
}

func ExampleGuard() {
	err := sdk.Guard(func() error { panic("oh no") })
	var p *sdk.PanicError
	fmt.Println(errors.As(err, &p), p.Value)
	// Output: true oh no
}
