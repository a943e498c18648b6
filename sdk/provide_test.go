package sdk

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

type publisher struct{ parts }

func (publisher) Keys(context.Context) ([]byte, time.Time, error) { return nil, time.Time{}, nil }

func TestImplementation(t *testing.T) {
	t.Parallel()
	type settings struct {
		Do string `json:"do"`
	}
	build := func(_ context.Context, su Setup, s settings) (publisher, error) {
		switch s.Do {
		case "panic":
			panic("boom")
		case "fail":
			return publisher{}, At(errors.New("bad"), "do")
		}
		return publisher{parts{errors.New(su.Realm)}}, nil
	}
	i := TokenBrokerType("b", build, NeedsHTTP(), Cacheable(), Schemes("bearer", "x"), Wants(WantAccessKeys), Wants(WantPrincipals, WantAccessKeys))
	if i.Kind() != KindTokenBroker || i.Type() != "b" || !i.NeedsHTTP() || !i.Cacheable() || !slices.Equal(i.Schemes(), []string{"bearer", "x"}) ||
		!slices.Equal(i.Wants(), []Want{WantAccessKeys, WantPrincipals}) || !slices.Equal(i.Abilities(), []Ability{AbilityKeyPublisher}) || len(i.SettingsSchema()) == 0 {
		t.Errorf("%+v", i)
	}
	// An ability belongs to its kind: a mapper that also has keys publishes none.
	if a := PrincipalMapperType("m", build).Abilities(); len(a) != 0 {
		t.Errorf("%v", a)
	}
	impl, err := i.Build(t.Context(), Setup{Realm: "r"}, []byte(`{"do":"x"}`))
	if err != nil || impl.(publisher).err.Error() != "r" {
		t.Errorf("%v %v", impl, err)
	}
	for settings, want := range map[string][]*Problem{
		`{"do":"fail"}`: {{Path: "/do", Summary: "bad"}}, `{"do":"panic"}`: {{Summary: "panic: boom"}}, `{}`: {{Path: "/do", Summary: `the key "do" is required`}},
	} {
		impl, err := i.Build(t.Context(), Setup{}, []byte(settings))
		if impl != nil || !reflect.DeepEqual(bare(Problems(err)), want) {
			t.Errorf("%s: %v %v", settings, impl, err)
		}
	}
}

// checker is a part of any kind.
type checker struct{ parts }

func (checker) Check(context.Context) error { return nil }

func TestCheckersOfAnyKind(t *testing.T) {
	t.Parallel()
	build := func(context.Context, Setup, struct{}) (checker, error) { return checker{}, nil }
	for _, i := range []Implementation{PrincipalMapperType("m", build), TokenBrokerType("b", build)} {
		if !slices.Equal(i.Abilities(), []Ability{AbilityChecker}) {
			t.Errorf("%v: %v", i.Kind(), i.Abilities())
		}
	}
	if s := AbilityChecker.String(); s != "checker" {
		t.Error(s)
	}
}

func TestDenials(t *testing.T) {
	t.Parallel()
	if AsDenial(nil) != nil || AsDenial(errors.New("x")) != nil {
		t.Error("an error is a denial")
	}
	d := AsDenial(fmt.Errorf("more: %w", Forbid("r", "no %s", "entry")))
	if d == nil || d.Reason != "r" || d.Detail != "no entry" || !d.Forbidden || d.Error() != "denied: r: no entry" {
		t.Errorf("%+v", d)
	}
	if d := AsDenial(Deny("r", "")); d.Forbidden || d.Error() != "denied: r" {
		t.Errorf("%+v", d)
	}
	if d := AsDenial(NotMine()); d == nil || d.Reason != ReasonNotMine || d.Forbidden {
		t.Errorf("%+v", d)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.String())
	}
	want := []string{
		"identity-provider", "principal-mapper", "principal-roles-mapper", "authenticator", "active-roles-provider", "token-broker",
		"secret-resolver", "credential-vendor",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
	for got, want := range map[string]string{
		Kind(0).String(): "kind(0)", Kind(99).String(): "kind(99)", AbilitySecretWriter.String(): "secret-writer",
		WantPrincipals.String(): "principals", WantAccessKeys.String(): "access-keys", WantGrantedSecrets.String(): "granted-secrets", Want(0).String(): "want(0)", Want(4).String(): "want(4)",
		Ability(9).String(): "ability(9)", SourceInternal.String(): "internal", SourceExternal.String(): "external", Source(0).String(): "unknown",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	m := HTTPMessage{Header: []Header{{"a", "1"}, {"b", "2"}, {"a", "3"}}}
	if got := m.Values("a"); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("%v", got)
	}
}
