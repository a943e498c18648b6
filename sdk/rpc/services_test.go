package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

var until = time.UnixMilli(1_900_000_000_000)

// broker is a token broker that publishes keys.
type broker struct {
	fake
	grants chan sdk.Grant
}

func (b *broker) Issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	b.grants <- g
	return b.fake.Issue(ctx, g)
}

func (b *broker) Keys(context.Context) ([]byte, time.Time, error) {
	return []byte(`{"keys":[]}`), until, nil
}

// store is a secret store in memory.
type store struct {
	mu sync.Mutex
	m  map[string]string
}

func (s *store) Resolve(_ context.Context, r sdk.SecretRef) (sdk.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[r.Path()]
	if !ok {
		return sdk.Secret{}, errors.New("there is no such secret")
	}
	out := sdk.NewSecret([]byte(v))
	out.Version, out.CacheUntil = "3", until
	return out, nil
}

func (s *store) WriteSecret(_ context.Context, r sdk.SecretRef, value []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[r.Path()] = string(value)
	return "3", nil
}

func (s *store) DeleteSecret(_ context.Context, r sdk.SecretRef) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, r.Path())
	return nil
}

// vendor vends and signs.
type vendor struct {
	vends chan sdk.VendRequest
	signs chan sdk.SignRequest
}

func (v *vendor) Vend(_ context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	v.vends <- r
	return sdk.ConnectionCredentials{Properties: map[string]sdk.Secret{"k": sdk.NewSecret([]byte("v"))}, Expires: until, AuditID: "a"}, nil
}

func (v *vendor) Sign(_ context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	v.signs <- r
	return sdk.SignedRequest{URL: "https://x", Header: []sdk.Header{{Name: "a", Value: "b"}}, Expires: until, AuditID: "log-1"}, nil
}

// checked is a mapper that says whether it could do its work.
type checked struct {
	fake
	check func(context.Context) error
}

func (c *checked) Check(ctx context.Context) error { return c.check(ctx) }

func TestCheck(t *testing.T) {
	t.Parallel()
	ref := mustRef(t, "urn:realmgate-secret:s:a")
	c := &checked{}
	host := &fakeHost{resolve: func(_ context.Context, by Caller, _ sdk.SecretRef) (sdk.Secret, error) {
		return sdk.Secret{}, fmt.Errorf("instance %d of realm %s asks", by.Instance, by.Realm)
	}}
	p := start(t, &Server{Implementations: []sdk.Implementation{
		sdk.PrincipalMapperType("c", func(context.Context, sdk.Setup, none) (*checked, error) { return c, nil }),
		sdk.PrincipalMapperType("plain", func(context.Context, sdk.Setup, none) (*fake, error) { return &c.fake, nil }),
	}}, host)
	const k = sdk.KindPrincipalMapper
	if ds, err := p.Configure(t.Context(), []Instance{{ID: 1, Kind: k, Type: "c"}, {ID: 2, Kind: k, Type: "plain"}}); err != nil || len(ds) > 0 {
		t.Fatal(ds, err)
	}
	for name, tt := range map[string]struct {
		instance uint64
		check    func(context.Context) error
		code     Code
		want     string // empty: no error
	}{
		"well":      {1, func(context.Context) error { return nil }, 0, ""},
		"not well":  {1, func(context.Context) error { return errors.New("no login") }, CodeError, "no login"},
		"a denial":  {1, func(context.Context) error { return sdk.Deny("x", "y") }, CodeError, "denied: x: y"},
		"a panic":   {1, func(context.Context) error { panic("boom") }, CodePanic, "boom"},
		"asks":      {1, func(ctx context.Context) error { _, err := ref.Value(ctx); return err }, CodeError, "instance 1 of realm r asks"},
		"no such":   {9, nil, CodeUnknownInstance, "there is no instance 9"},
		"no answer": {2, nil, CodeUnsupported, "cannot be checked"},
	} {
		c.check = tt.check
		err := p.Check(t.Context(), "r", k, tt.instance)
		var f *Failure
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &f) || f.Code != tt.code || !strings.Contains(err.Error(), tt.want) || sdk.AsDenial(err) != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Check(ctx, "", k, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// plainVendor is a vendor that cannot sign.
type plainVendor struct{ v *vendor }

func (p *plainVendor) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return p.v.Vend(ctx, r)
}

func TestServices(t *testing.T) {
	t.Parallel()
	b := &broker{grants: make(chan sdk.Grant, 1)}
	s := &store{m: map[string]string{}}
	v := &vendor{vends: make(chan sdk.VendRequest, 1), signs: make(chan sdk.SignRequest, 1)}
	p := start(t, &Server{Implementations: []sdk.Implementation{
		sdk.TokenBrokerType("b", func(context.Context, sdk.Setup, none) (*broker, error) { return b, nil }),
		sdk.TokenBrokerType("plain", func(context.Context, sdk.Setup, none) (*fake, error) { return &b.fake, nil }),
		sdk.SecretResolverType("s", func(context.Context, sdk.Setup, none) (*store, error) { return s, nil }),
		sdk.CredentialVendorType("v", func(context.Context, sdk.Setup, none) (*vendor, error) { return v, nil }),
		sdk.CredentialVendorType("plain", func(context.Context, sdk.Setup, none) (*plainVendor, error) { return &plainVendor{v}, nil }),
	}}, &fakeHost{})
	ds, err := p.Configure(t.Context(), []Instance{
		{ID: 1, Kind: sdk.KindTokenBroker, Type: "b"}, {ID: 2, Kind: sdk.KindTokenBroker, Type: "plain"},
		{ID: 3, Kind: sdk.KindSecretResolver, Type: "s"}, {ID: 4, Kind: sdk.KindCredentialVendor, Type: "v"},
		{ID: 5, Kind: sdk.KindCredentialVendor, Type: "plain"},
	})
	if err != nil || len(ds) > 0 {
		t.Fatal(ds, err)
	}
	ctx := t.Context()

	t.Run("issue", func(t *testing.T) {
		g := filled[sdk.Grant](t)
		tok, err := p.Issue(ctx, "r", 1, g)
		if err != nil || tok != (sdk.Token{Value: "t-" + g.ClientID, ID: g.TokenID, Type: "Bearer", Expires: until}) {
			t.Errorf("%+v %v", tok, err)
		}
		if got := <-b.grants; !reflect.DeepEqual(got, g) {
			t.Errorf("%+v, want %+v", got, g)
		}
		if _, err := p.Issue(ctx, "r", 2, sdk.Grant{ClientID: "bad"}); sdk.AsDenial(err) == nil {
			t.Errorf("%v", err)
		}
	})
	t.Run("keys", func(t *testing.T) {
		jwks, at, err := p.Keys(ctx, "r", 1)
		if err != nil || string(jwks) != `{"keys":[]}` || !at.Equal(until) {
			t.Errorf("%s %v %v", jwks, at, err)
		}
		if _, _, err := p.Keys(ctx, "r", 2); err == nil || !strings.Contains(err.Error(), "does not have this ability") {
			t.Errorf("%v", err)
		}
	})
	t.Run("secrets", func(t *testing.T) {
		ref := mustRef(t, "urn:realmgate-secret:s:a/b")
		if version, err := p.WriteSecret(ctx, 3, ref, []byte("hunter2")); err != nil || version != "3" {
			t.Errorf("%q %v", version, err)
		}
		got, err := p.Resolve(ctx, 3, ref)
		if err != nil || string(got.Reveal()) != "hunter2" || got.Version != "3" || !got.CacheUntil.Equal(until) {
			t.Errorf("%v %v", got.Version, err)
		}
		// A resolver must not have to know of fields, nor a writer of versions: neither reaches it.
		if got, err := p.Resolve(ctx, 3, mustRef(t, "urn:realmgate-secret:s:a/b#f")); err == nil || !strings.Contains(err.Error(), "whole secrets") || got.Reveal() != nil {
			t.Errorf("%q %v", got.Reveal(), err)
		}
		for _, pinned := range []string{"urn:realmgate-secret:s:a/b#f", "urn:realmgate-secret:s:a/b?=version=3"} {
			_, err := p.WriteSecret(ctx, 3, mustRef(t, pinned), []byte("x"))
			for _, err := range []error{err, p.DeleteSecret(ctx, 3, mustRef(t, pinned))} {
				if err == nil || !strings.Contains(err.Error(), "neither written nor deleted") {
					t.Errorf("%s: %v", pinned, err)
				}
			}
		}
		if got, err := p.Resolve(ctx, 3, ref); err != nil || string(got.Reveal()) != "hunter2" {
			t.Errorf("it was changed: %v", err)
		}
		if err := p.DeleteSecret(ctx, 3, ref); err != nil {
			t.Error(err)
		}
		if _, err := p.Resolve(ctx, 3, ref); err == nil || sdk.AsDenial(err) != nil || err.Error() != "there is no such secret" {
			t.Errorf("%v", err)
		}
	})
	t.Run("vend", func(t *testing.T) {
		q := filled[sdk.VendRequest](t)
		q.Connection.ServiceIdentity.Credentials = mustRef(t, "urn:realmgate-secret:s:keys#id")
		c, err := p.Vend(ctx, "r", 4, q)
		if err != nil || len(c.Properties) != 1 || string(c.Properties["k"].Reveal()) != "v" || !c.Expires.Equal(until) || c.AuditID != "a" {
			t.Errorf("%+v %v", c, err)
		}
		if got := <-v.vends; !reflect.DeepEqual(got, q) {
			t.Errorf("%+v, want %+v", got, q)
		}
	})
	t.Run("sign", func(t *testing.T) {
		q := filled[sdk.SignRequest](t)
		q.Connection.ServiceIdentity = nil
		signed, err := p.Sign(ctx, "r", 4, q)
		if err != nil || !reflect.DeepEqual(signed, sdk.SignedRequest{URL: "https://x", Header: []sdk.Header{{Name: "a", Value: "b"}}, Expires: until, AuditID: "log-1"}) {
			t.Errorf("%+v %v", signed, err)
		}
		if got := <-v.signs; !reflect.DeepEqual(got, q) {
			t.Errorf("%+v, want %+v", got, q)
		}
		if _, err := p.Sign(ctx, "r", 5, q); err == nil {
			t.Error("a vendor that cannot sign does")
		}
	})
	t.Run("unknown instance", func(t *testing.T) {
		var f *Failure
		if _, err := p.Resolve(ctx, 1, mustRef(t, "urn:realmgate-secret:s:a")); !errors.As(err, &f) || f.Code != CodeUnknownInstance {
			t.Errorf("%v", err)
		}
	})
}

// filled gives a noun with a value in every field, so that a field which a conversion forgets is found.
func filled[T any](t *testing.T) T {
	t.Helper()
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1_800_000_000_000 + int64(*n))))
		return
	case time.Duration:
		v.SetInt(int64(*n) * int64(time.Second))
		return
	case sdk.SecretRef, sdk.Claims:
		return
	case sdk.Source:
		v.SetUint(uint64(sdk.SourceExternal))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("s" + string(rune('a'+*n%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), e)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	}
}

func TestNounsSurviveTheWire(t *testing.T) {
	t.Parallel()
	check := func(name string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	r := filled[sdk.Request](t)
	check("request", requestFromProto(requestToProto(&r), r.Realm), &r)
	i := filled[sdk.Identity](t)
	i.Claims = sdk.NewClaims([]byte(`{"a":1}`))
	check("identity", identityFromProto(identityToProto(&i)), &i)
	c := filled[sdk.Credential](t)
	check("credential", credentialFromProto(credentialToProto(&c)), &c)
	p := filled[sdk.Principal](t)
	check("principal", principalFromProto(principalToProto(&p)), &p)
	ref := filled[sdk.PrincipalRef](t)
	check("reference", refFromProto(refToProto(&ref)), &ref)
	tok := filled[sdk.Token](t)
	check("token", tokenFromProto(tokenToProto(tok)), tok)
	g := filled[sdk.Grant](t)
	check("grant", grantFromProto(grantToProto(g)), g)
	d := &sdk.Denial{Reason: "r", Detail: "d", Forbidden: true, Challenge: []sdk.Header{{Name: "a", Value: "b"}}}
	check("denial", denialFromProto(denialToProto(d)), d)
	check("no roles", rolesFromProto(rolesToProto([]string{})), []string{})
	check("roles unknown", rolesFromProto(rolesToProto(nil)), []string(nil))
	check("nothing", []any{requestFromProto(nil, ""), identityFromProto(nil), credentialFromProto(nil), principalFromProto(nil), refFromProto(nil)},
		[]any{(*sdk.Request)(nil), (*sdk.Identity)(nil), (*sdk.Credential)(nil), (*sdk.Principal)(nil), (*sdk.PrincipalRef)(nil)})
}

func TestCacheHintsNeverGrow(t *testing.T) {
	t.Parallel()
	for in, want := range map[sdk.CacheHint]sdk.CacheHint{
		{}: {}, {NoStore: true}: {NoStore: true}, {MaxAge: time.Minute}: {MaxAge: time.Minute},
		{MaxAge: 1500 * time.Microsecond}: {MaxAge: time.Millisecond}, {MaxAge: time.Nanosecond}: {NoStore: true},
	} {
		if got := hintFromProto(hintToProto(in)); got != want {
			t.Errorf("%+v becomes %+v, want %+v", in, got, want)
		}
	}
	if d := durationFromProto(1 << 62); d <= 0 {
		t.Errorf("a huge life becomes %v", d)
	}
}

func TestClonesShareNothing(t *testing.T) {
	t.Parallel()
	p := filled[sdk.Principal](t)
	q := clonePrincipal(p)
	q.Roles[0] = "x"
	q.Attributes["key"] = "x"
	if p.Roles[0] == "x" || maps.Equal(p.Attributes, q.Attributes) {
		t.Error("a clone shares what a part may change")
	}
}
