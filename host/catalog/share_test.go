package catalog

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// TestFingerprint changes every field of an instance in turn: none may be forgotten, but the secrets.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref, err := sdk.ParseSecretRef(login)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]any{
		"Kind": {sdk.KindAuthenticator}, "Type": {"x"}, "Settings": {[]byte("{}")}, "Refs": {[]sdk.SecretRef{ref}, []sdk.SecretRef{{}}}, "Basis": {"x"},
		"Realm": {"x"}, "Issuer": {"x"}, "Tenant": {"x"}, "Store": {"x"}, "AuthenticationType": {"x"}, "RolePrefix": {"x"},
		"Audience": {[]string{"x"}, []string{"", "x"}, []string{"x", ""}, []string{""}},
		"Unset":    {[]string{"x"}, []string{"", "x"}, []string{""}},
		"Environment": {map[string]sdk.Secret{"x": {}}, map[string]sdk.Secret{"": {}}, map[string]sdk.Secret{"x": sdk.NewSecret([]byte("x"))},
			map[string]sdk.Secret{"x": {}, "y": sdk.NewSecret([]byte("x"))}, map[string]sdk.Secret{"x": sdk.NewSecret([]byte("x")), "y": {}}},
	}
	seen := map[fingerprint]string{w.fingerprint(&Instance{}): "nothing"}
	check := func(in *Instance, what string) {
		mark := w.fingerprint(in)
		if other, ok := seen[mark]; ok {
			t.Errorf("%s is like %s", what, other)
		}
		if mark != w.fingerprint(in) {
			t.Errorf("%s is not like itself", what)
		}
		seen[mark] = what
	}
	for _, of := range []func(*Instance) reflect.Value{
		func(i *Instance) reflect.Value { return reflect.ValueOf(i).Elem() },
		func(i *Instance) reflect.Value { return reflect.ValueOf(&i.Setup).Elem() },
	} {
		for _, f := range reflect.VisibleFields(of(&Instance{}).Type()) {
			if f.Name == "Secrets" || f.Name == "Setup" {
				continue
			}
			if len(values[f.Name]) == 0 {
				t.Errorf("the field %s is new: add it to the fingerprint and here", f.Name)
			}
			for n, v := range values[f.Name] {
				var in Instance
				of(&in).FieldByName(f.Name).Set(reflect.ValueOf(v))
				check(&in, fmt.Sprintf("%s %d", f.Name, n))
			}
		}
	}
	other := newWorld(t, nil)
	if in := early(""); w.fingerprint(&in) == other.fingerprint(&in) {
		t.Error("the fingerprint has no key, but secrets go into it")
	}
}

func TestSharedInstances(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	second := w.prepare(t, s)
	in := []Instance{early("warn"), early("warn"), {Kind: sdk.KindPrincipalMapper, Type: "badge"}}
	first, ds := w.Configure(t.Context(), in)
	if len(ds) != 2 || ds[0].Shared || first[0] == first[1] {
		t.Fatalf("a set shares with itself: %v %+v", first, ds)
	}
	hs, ds := second.Configure(t.Context(), []Instance{early("warn"), {Kind: sdk.KindPrincipalMapper, Type: "badge", Basis: "x"}, early("")})
	if hs[0] != first[1] || hs[1] == first[2] || hs[2].IsZero() {
		t.Errorf("%v, before %v", hs, first)
	}
	if len(ds) != 1 || !ds[0].Warning || !ds[0].Shared || ds[0].Index != 0 || ds[0].Path != "/do" {
		t.Errorf("what was said of it at first: %+v", ds)
	}
	if n := w.secrets.count(); n != 3 {
		t.Errorf("%d constructors ran", n)
	}
	third := w.prepare(t, s)
	third.Unshared()
	if hs, ds := third.Configure(t.Context(), []Instance{early("warn")}); hs[0] == first[0] || hs[0] == first[1] || len(ds) != 1 || ds[0].Shared {
		t.Errorf("a set that shares nothing: %v %+v", hs, ds)
	}
	works := func(h Handle, want bool) {
		t.Helper()
		_, err := w.mapSubject(t, h, "r1", "x")
		if (err == nil) != want || err != nil && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v: %v", h, err)
		}
	}
	second.Release(t.Context(), hs)
	second.Release(t.Context(), []Handle{hs[0], first[0]}) // no longer its own, and never its own
	works(first[0], true)
	works(hs[0], true)
	works(hs[1], false)
	w.Release(t.Context(), first[1:])
	works(hs[0], false)
	works(first[0], true)
}

// What a set has not released itself ends with it, unless another one has it.
func TestSetGivesInstancesBack(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	first, _ := w.Configure(t.Context(), []Instance{early(""), {Kind: sdk.KindPrincipalMapper, Type: "badge"}})
	second := w.prepare(t, s)
	if hs, _ := second.Configure(t.Context(), []Instance{early("")}); hs[0] != first[0] {
		t.Fatal("not shared")
	}
	w.Set.Close(t.Context())
	if n := w.Plugins()[0].Instances; n != 1 {
		t.Errorf("%d instances", n)
	}
	if _, err := w.mapSubject(t, first[0], "r1", "x"); err != nil {
		t.Error(err)
	}
	hs, ds := w.Configure(t.Context(), []Instance{early("resolve")})
	if _, err := w.mapSubject(t, hs[0], "r1", "x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a closed set has an instance: %v %+v", err, ds)
	}
	if n := w.Plugins()[0].Instances; n != 1 {
		t.Errorf("%d instances", n)
	}
}

// The secrets of a shared instance are those of the configuration that serves.
func TestSecretsOfASharedInstance(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	first, ds := w.Configure(t.Context(), []Instance{early("resolve")})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	second, third := w.prepare(t, s), w.prepare(t, s)
	in := early("resolve")
	in.Secrets = secondSecrets{}
	for _, x := range []*Set{second, third} {
		if hs, ds := x.Configure(t.Context(), []Instance{in}); len(ds) > 0 || hs[0] != first[0] {
			t.Fatal(hs, ds)
		}
	}
	for n, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "operator login"}, // it is not served yet
		{second.Activate, "second login"},
		{w.Activate, "operator login"}, // it was not to be
		{third.Activate, "second login"},
		{func() { w.Release(t.Context(), first) }, "second login"},
		{func() { second.Close(t.Context()) }, "second login"},
	} {
		step.do()
		if got, err := w.mapSubject(t, first[0], "r1", "x"); err != nil || got.Name != step.want {
			t.Errorf("step %d: %q, %v, want %q", n, got.Name, err, step.want)
		}
	}
	fourth := w.prepare(t, s)
	if hs, ds := fourth.Configure(t.Context(), []Instance{early("resolve")}); len(ds) > 0 || hs[0] != first[0] {
		t.Fatal(hs, ds)
	}
	third.Close(t.Context()) // its secrets go with it, although nobody else was activated
	if got, err := w.mapSubject(t, first[0], "r1", "x"); err != nil || got.Name != "operator login" {
		t.Error(got, err)
	}
}

// An instance that could not be built is shared too, and tried again for the new set at once.
func TestSharedAndUnavailable(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	w := newWorld(t, nil, s)
	w.secrets.setFail(true)
	first, ds := w.Configure(t.Context(), []Instance{early("")})
	if len(ds) != 1 || !ds[0].Unavailable || ds[0].Shared {
		t.Fatalf("%+v", ds)
	}
	second := w.prepare(t, s)
	hs, ds := second.Configure(t.Context(), []Instance{early("")})
	if hs[0] != first[0] || len(ds) != 1 || !ds[0].Unavailable || !ds[0].Shared || !strings.Contains(ds[0].Summary, "the store is down") {
		t.Errorf("%v %+v", hs, ds)
	}
	w.secrets.setFail(false)
	third := w.prepare(t, s)
	if hs, ds := third.Configure(t.Context(), []Instance{early("")}); hs[0] != first[0] || len(ds) != 0 {
		t.Errorf("%v %+v", hs, ds)
	}
	if err := third.Ready(hs[0]); err != nil {
		t.Error(err)
	}
	for _, x := range []*Set{w.Set, second, third} {
		x.Release(t.Context(), first)
	}
	waitFor(t, "none may call the host, neither what a further try was building meanwhile", func() bool {
		n := 0
		w.plugins[0].calls.Range(func(any, any) bool { n++; return true })
		return n == 0
	})
}

// What two tries build at the same time is there once: the second one is given back.
func TestBuiltTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	h := w.mapper(t, "")
	p, before := w.plugins[0], h.inst.bound.Load()
	if ds := p.configure(t.Context(), p.live, []*instance{h.inst}); firstError(ds[0]) != nil {
		t.Fatal(ds)
	}
	if h.inst.bound.Load() != before {
		t.Error("an instance that is served was built anew in its place")
	}
	n := 0
	p.calls.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d instances may call the host", n)
	}
}
