package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

func as[T error](err error, to *T) bool { return errors.As(err, to) }

// decision is a whole external decision of one plugin.
func decision() []Instance {
	su := sdk.Setup{Tenant: "t"}
	return []Instance{
		{Kind: sdk.KindIdentityProvider, Type: "badge", Setup: su}, {Kind: sdk.KindPrincipalMapper, Type: "badge", Setup: su},
		{Kind: sdk.KindPrincipalRolesMapper, Type: "badge", Setup: su}, {Kind: sdk.KindAuthenticator, Type: "badge", Setup: sdk.Setup{Realm: "r1"}},
		{Kind: sdk.KindActiveRolesProvider, Type: "badge"},
	}
}

func TestDecision(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"good", "unary"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, secured(t, "p", mode))
			hs, ds := w.Configure(t.Context(), decision())
			if len(ds) > 0 {
				t.Fatal(ds)
			}
			l, err := w.Leg("r1", hs)
			if err != nil {
				t.Fatal(err)
			}
			st := &sdk.State{Request: &sdk.Request{Realm: "r1", Token: "alice"}}
			if err := l.Run(t.Context(), st); err != nil {
				t.Fatal(err)
			}
			if st.Principal == nil || st.Principal.Name != "alice" || len(st.Active) != 1 {
				t.Errorf("%+v", st)
			}
			err = l.Run(t.Context(), &sdk.State{Request: &sdk.Request{Realm: "r1", Token: "bad"}})
			if d := sdk.AsDenial(err); d == nil || d.Reason != "bad_token" || d.Detail != "the token is bad, password=[hidden]" {
				t.Errorf("%v", err)
			}
			err = l.Run(t.Context(), &sdk.State{Request: &sdk.Request{Realm: "r2", Token: "alice"}})
			if !errors.Is(err, errOtherRealm) || sdk.AsDenial(err) != nil {
				t.Errorf("an instance of r1 served r2: %v", err)
			}
			w.Release(t.Context(), hs)
			err = l.Run(t.Context(), st)
			if !errors.Is(err, ErrUnavailable) || err.Error() != "plugin p: identity-provider(badge): unavailable: it was released" {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestLegRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"), source(t, "q", "other"))
	hs, ds := w.Configure(t.Context(), []Instance{{Kind: sdk.KindPrincipalMapper, Type: "badge"}, {Kind: sdk.KindPrincipalMapper, Type: "other"}})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	if got := fmt.Sprint(hs); got != "[principal-mapper(p/badge) principal-mapper(q/other)]" {
		t.Error(got)
	}
	for _, bad := range [][]Handle{nil, hs, {{}}} {
		if _, err := w.Leg("r1", bad); err == nil {
			t.Errorf("a leg of %v", bad)
		}
	}
	if err := w.Broker(Handle{}, "r1").call(t.Context(), issues, nil); err == nil {
		t.Error("a broker without an instance")
	}
	if _, err := w.Resolver(Handle{}).Resolve(t.Context(), sdk.SecretRef{}); err == nil {
		t.Error("a resolver without an instance")
	}
}

func TestBrokerAndResolver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	hs, ds := w.Configure(t.Context(), []Instance{
		{Kind: sdk.KindTokenBroker, Type: "badge", Setup: sdk.Setup{Realm: "r1", Issuer: "i", Audience: []string{"a"}}},
		{Kind: sdk.KindSecretResolver, Type: "badge", Setup: sdk.Setup{Store: "store"}},
		{Kind: sdk.KindTokenBroker, Type: "badge"},
	})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	b := w.Broker(hs[0], "r1")
	if tok, err := b.Issue(t.Context(), sdk.Grant{ClientID: "c"}); err != nil || tok.Value != "for c of r1" {
		t.Error(tok, err)
	}
	if keys, until, err := b.Keys(t.Context()); err != nil || string(keys) != `{"keys":[]}` || until.IsZero() {
		t.Error(string(keys), until, err)
	}
	if _, err := w.Broker(hs[0], "r2").Issue(t.Context(), sdk.Grant{}); !errors.Is(err, errOtherRealm) {
		t.Errorf("the broker of r1 issued for r2: %v", err)
	}
	if _, err := w.Broker(hs[2], "r1").Issue(t.Context(), sdk.Grant{}); !errors.Is(err, errOtherRealm) {
		t.Errorf("the broker of no realm issued for r1: %v", err)
	}
	r := w.Resolver(hs[1])
	ref, _ := sdk.ParseSecretRef("urn:realmgate-secret:store:a/b")
	if s, err := r.Resolve(t.Context(), ref); err != nil || string(s.Reveal()) != "value of a/b" {
		t.Error(err)
	}
	if v, err := r.WriteSecret(t.Context(), ref, []byte("x")); err != nil || v != "3" {
		t.Error(v, err)
	}
	if err := r.DeleteSecret(t.Context(), ref); err != nil {
		t.Error(err)
	}
}

func TestHostCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	ask, resolve, other := w.mapper(t, "ask"), w.mapper(t, "resolve", login), w.mapper(t, "resolve other", login)
	second := []Instance{early("resolve"), early("resolve other")}
	for n := range second {
		second[n].Secrets = secondSecrets{}
	}
	apart, ds := w.Configure(t.Context(), second)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	tests := []struct {
		name           string
		h              Handle
		realm, subject string
		want           string // what the mapper found; empty: an error
	}{
		{"find", ask, "r1", "alice", "42"},
		{"find in another realm", ask, "r2", "alice", ""},
		{"find without a realm", ask, "", "alice", ""},
		{"own reference", resolve, "r2", "", "operator login"},
		{"own reference, own secrets", apart[0], "r2", "", "second login"},
		{"granted, own secrets", apart[1], "r1", "granted/a", "second granted/a"},
		{"granted", other, "r1", "granted/a", "granted granted/a"},
		{"not granted", other, "r1", "secret/a", ""},
		{"granted to another realm", other, "r2", "granted/a", ""},
		{"no realm", other, "", "granted/a", ""},
	}
	for _, tt := range tests {
		got, err := w.mapSubject(t, tt.h, tt.realm, tt.subject)
		if found := got.ID + got.Name; found != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v", tt.name, found, err)
		}
	}
	_, err := w.mapSubject(t, ask, "r1", "mallory")
	if d := sdk.AsDenial(err); d == nil || d.Reason != "principal_unknown" || !d.Forbidden {
		t.Errorf("a denial of the directory: %v", err)
	}
	h := &hostCalls{p: w.plugins[0], offers: w.plugins[0].manifest.Offers}
	if _, err := h.FindPrincipal(t.Context(), rpc.Caller{Instance: 1 << 40, Realm: "r1"}, sdk.PrincipalRef{Name: "alice"}); err == nil {
		t.Error("an instance that is not configured was answered")
	}
	hs, ds := w.Configure(t.Context(), decision())
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	for n, i := range decision() {
		_, err := h.FindPrincipal(t.Context(), rpc.Caller{Instance: hs[n].inst.bound.Load().id, Realm: "r2"}, sdk.PrincipalRef{Name: "alice"})
		if got, want := errors.Is(err, errOtherRealm), i.Kind == sdk.KindAuthenticator; got != want {
			t.Errorf("%v asks for r2: %v", i.Kind, err)
		}
	}
	ref, _ := sdk.ParseSecretRef("urn:realmgate-secret:store:granted/a")
	if _, err := h.ResolveSecret(t.Context(), rpc.Caller{Instance: other.inst.bound.Load().id, Realm: "r1", Configuring: true}, ref); err == nil {
		t.Error("a constructor resolved a reference that its settings do not have")
	}
}

func TestAccessKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	h := w.mapper(t, "ask for a key")
	for _, tt := range []struct{ realm, id, want, denial string }{
		{"r1", "RGAK", "42", ""},
		{"r1", "RGAX", "", "access_key_unknown"},
		{"r2", "RGAK", "", "access_key_unknown"}, // of another realm
		{"", "RGAK", "", ""},                     // no realm: a failure
	} {
		got, err := w.mapSubject(t, h, tt.realm, tt.id)
		d := sdk.AsDenial(err)
		if got.ID != tt.want || (err == nil) != (tt.want != "") || (d != nil) != (tt.denial != "") || d != nil && (d.Reason != tt.denial || d.Forbidden) {
			t.Errorf("%+v: %+v, %v", tt, got, err)
		}
	}
	none := newWorld(t, func(o *Options) { o.AccessKeys = nil }, source(t, "p", "good"))
	_, err := none.mapSubject(t, none.mapper(t, "ask for a key"), "r1", "RGAK")
	if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), errNoAccessKeys.Error()) {
		t.Errorf("a host without access keys: %v", err)
	}
}

func TestFailingCalls(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"good", "unary"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, source(t, "p", mode))
			fine := w.mapper(t, "")
			_, err := w.mapSubject(t, w.mapper(t, "fail"), "r1", "x")
			if want := "plugin p: principal-mapper(badge): "; err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "principal-mapper(badge)") != 1 ||
				strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			_, err = w.mapSubject(t, w.mapper(t, "panic"), "r1", "x")
			var f *rpc.Failure
			if !as(err, &f) || f.Code != rpc.CodePanic || sdk.AsDenial(err) != nil {
				t.Errorf("%v", err)
			}
			hang, err := w.Leg("r1", []Handle{w.mapper(t, "hang")})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			err = hang.Run(ctx, &sdk.State{Request: &sdk.Request{Realm: "r1"}, Identity: &sdk.Identity{Subject: "x"}})
			if !errors.Is(err, context.DeadlineExceeded) || sdk.AsDenial(err) != nil {
				t.Errorf("%v", err)
			}
			if got, err := w.mapSubject(t, fine, "r1", "y"); err != nil || got.Name != "y" {
				t.Errorf("another instance suffers: %v", err)
			}
		})
	}
}

// TestFault: whatever goes wrong in a call, what the plugin wrote of it is safe, and what it is can be told.
func TestFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := &supervised{c: w.Catalog, src: Source{Name: "p"}}
	const raw, safe = "login:\npassword=hunter2", "login: password=[hidden]"
	tests := []struct {
		err   error
		want  string
		kinds []error
	}{
		{&rpc.Failure{Message: raw}, "plugin p: x: " + safe, nil},
		{&rpc.Failure{Code: rpc.CodeDeadline, Message: raw}, "plugin p: x: " + safe, []error{context.DeadlineExceeded}},
		{fmt.Errorf("%w: %s", rpc.ErrLost, raw), "plugin p: x: unavailable: the connection to the plugin is lost: " + safe, []error{rpc.ErrLost, ErrUnavailable}},
		{fmt.Errorf("%s: %w", raw, context.Canceled), "plugin p: x: " + safe + " context canceled", []error{context.Canceled}},
		{errors.New(raw), "plugin p: x: " + safe, nil},
		{fmt.Errorf("wrapped: %w", sdk.Forbid("r", raw)), "denied: r: " + safe, nil},
	}
	for _, tt := range tests {
		err := (&way{p: p, name: "x: "}).fault(tt.err)
		if err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
		for _, kind := range []error{context.DeadlineExceeded, context.Canceled, rpc.ErrLost, ErrUnavailable} {
			if got := errors.Is(err, kind); got != slices.Contains(tt.kinds, kind) {
				t.Errorf("%v is %v: %v", err, kind, got)
			}
		}
		var was, is *rpc.Failure
		if as(tt.err, &was) && (!as(err, &is) || is.Code != was.Code || is.Message != safe) {
			t.Errorf("%#v", is)
		}
	}
	if err := (&way{p: p, name: "x: "}).fault(nil); err != nil {
		t.Error(err)
	}
}

func TestConfigureDiagnostics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"), source(t, "broken", "exit"))
	m := sdk.KindPrincipalMapper
	hs, ds := w.Configure(t.Context(), []Instance{
		{Kind: m, Type: "badge", Settings: []byte(`{"do":"refuse"}`)},
		{Kind: m, Type: "badge", Settings: []byte(`{"do":"warn"}`)},
		{Kind: m, Type: "bagde"},
		{Kind: m, Type: "badge", Settings: []byte(`{"nothing":1}`)},
		{Kind: m, Type: "badge"},
	})
	for n, ok := range []bool{false, true, false, false, true} {
		if hs[n].IsZero() == ok {
			t.Errorf("handle %d: %v", n, hs[n])
		}
	}
	if len(ds) != 4 {
		t.Fatalf("%+v", ds)
	}
	if d := ds[0]; d.Index != 0 || d.Warning || d.Path != "/do" || d.Summary != "is not a thing to do, password=[hidden]" {
		t.Errorf("%+v", d)
	}
	if d := ds[1]; d.Index != 1 || !d.Warning || d.Path != "/do" || d.Summary != "that is unwise" {
		t.Errorf("%+v", d)
	}
	var e *UnknownTypeError
	_, err := w.Find(m, "bagde")
	if !as(err, &e) || len(e.Known) != 2 || len(e.Broken) != 1 || ds[2].Summary != err.Error() ||
		!strings.HasPrefix(err.Error(), `no plugin offers a principal-mapper of type "bagde"; there are badge, modest-badge; plugin broken did not start`) {
		t.Errorf("%v, %+v", err, ds[2])
	}
	if d := ds[3]; d.Index != 3 || d.Path != "/nothing" {
		t.Errorf("%+v", d)
	}
	if o, err := w.Find(m, "badge"); err != nil || o.Plugin != "p" || o.Type != "badge" || len(o.SettingsSchema) == 0 {
		t.Errorf("%+v %v", o, err)
	}
}

func TestConfigureHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.ConfigureTimeout = time.Second }, source(t, "p", "good"))
	in := Instance{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: []byte(`{"do":"hang in the constructor"}`)}
	hs, ds := w.Configure(t.Context(), []Instance{in, in})
	if len(ds) != 2 || hs[0].IsZero() || hs[1].IsZero() || ds[1].Index != 1 || ds[1].Warning || !ds[0].Unavailable || !ds[1].Unavailable {
		t.Fatalf("%v %+v", hs, ds)
	}
	if got, err := w.mapSubject(t, w.mapper(t, ""), "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	h := w.mapper(t, "ask")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if got, err := w.mapSubject(t, h, "r1", "alice"); err != nil || got.ID != "42" {
					t.Error(got, err)
				}
			}
		})
	}
	wg.Wait()
}
