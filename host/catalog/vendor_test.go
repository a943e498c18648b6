package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

const (
	identityKeys = "urn:realmgate-secret:ops:aws/keys"
	otherKeys    = "urn:realmgate-secret:ops:aws/other"
	granted      = "urn:realmgate-secret:store:granted/a"
)

// vendors configures a vendor that signs, for r1 and r2, and one that does not.
func (w *world) vendors(t *testing.T) (r1, r2, plain *Vendor) {
	t.Helper()
	hs, ds := w.Configure(t.Context(), []Instance{
		{Kind: sdk.KindCredentialVendor, Type: "badge", Setup: sdk.Setup{AuthenticationType: "SIGV4"}},
		{Kind: sdk.KindCredentialVendor, Type: "plain-badge", Setup: sdk.Setup{AuthenticationType: "BEARER"}},
	})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	return w.Vendor(hs[0], "r1"), w.Vendor(hs[0], "r2"), w.Vendor(hs[1], "r1")
}

// connection asks for ref on behalf of the call from, empty for its own, and brings along the identity's keys.
func connection(t *testing.T, realm, name, ref, from, keys string) sdk.Connection {
	t.Helper()
	a, err := json.Marshal(map[string]string{"ref": ref, "from": from})
	if err != nil {
		t.Fatal(err)
	}
	c := sdk.Connection{Realm: realm, Name: name, Authentication: a, ServiceIdentity: &sdk.ServiceIdentity{Type: "AWS_IAM"}}
	if keys != "" {
		if c.ServiceIdentity.Credentials, err = sdk.ParseSecretRef(keys); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestVendor(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"good", "unary"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, source(t, "p", mode))
			r1, _, plain := w.vendors(t)
			if !r1.CanSign() || plain.CanSign() {
				t.Errorf("can sign: %v, %v", r1.CanSign(), plain.CanSign())
			}
			c, err := r1.Vend(t.Context(), sdk.VendRequest{Connection: connection(t, "r1", "c", granted, "", ""), Caller: sdk.Principal{Name: "alice"}})
			if err != nil || string(c.Properties["found"].Reveal()) != "granted granted/a" || c.AuditID != "alice" {
				t.Errorf("%+v, %v", c, err)
			}
			s, err := r1.Sign(t.Context(), sdk.SignRequest{Connection: connection(t, "r1", "c", identityKeys, "", identityKeys), HTTP: sdk.HTTPMessage{RawTarget: "/a"}})
			if err != nil || s.URL != "/a" || s.Header[0].Value != "operator aws/keys" {
				t.Errorf("%+v, %v", s, err)
			}
			_, err = r1.Vend(t.Context(), sdk.VendRequest{Connection: connection(t, "r1", "denied", granted, "", "")})
			if d := sdk.AsDenial(err); d == nil || d.Reason != "role_not_assumed" || strings.Contains(d.Detail, "hunter2") {
				t.Errorf("a denial: %v", err)
			}
			_, err = plain.Sign(t.Context(), sdk.SignRequest{Connection: connection(t, "r1", "c", granted, "", "")})
			if err == nil || sdk.AsDenial(err) != nil || !strings.HasPrefix(err.Error(), "plugin p: credential-vendor(plain-badge): ") {
				t.Errorf("a vendor that cannot sign: %v", err)
			}
		})
	}
}

// The keys of a service identity are the operator's. A vendor may have them because a call brought the reference along, and
// neither longer nor for anything else.
func TestVendorIsLentTheIdentityForTheCallOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	r1, r2, _ := w.vendors(t)
	ask := func(v *Vendor, c sdk.Connection) (string, error) {
		got, err := v.Vend(t.Context(), sdk.VendRequest{Connection: c})
		return string(got.Properties["found"].Reveal()), err
	}
	if got, err := ask(r1, connection(t, "r1", "first", identityKeys, "", identityKeys)); got != "operator aws/keys" || err != nil {
		t.Fatal(got, err)
	}
	if got, err := ask(r2, connection(t, "r2", "second", otherKeys, "", otherKeys)); got != "operator aws/other" || err != nil {
		t.Fatal(got, err)
	}
	for name, tt := range map[string]struct {
		v    *Vendor
		c    sdk.Connection
		want string
	}{
		"after the call":       {r1, connection(t, "r1", "c", identityKeys, "first", identityKeys), "has ended"},
		"a call without one":   {r1, connection(t, "r1", "c", identityKeys, "", ""), "not granted"},
		"another reference":    {r1, connection(t, "r1", "c", otherKeys, "", identityKeys), "not granted"},
		"a version of it":      {r1, connection(t, "r1", "c", identityKeys+"?=version=1", "", identityKeys), "not granted"},
		"a field of it":        {r1, connection(t, "r1", "c", identityKeys+"#key", "", identityKeys), "not granted"},
		"another realm's":      {r2, connection(t, "r2", "c", identityKeys, "", otherKeys), "not granted"},
		"another realm's call": {r2, connection(t, "r2", "c", identityKeys, "first", otherKeys), "has ended"},
		"of another realm":     {r1, connection(t, "r2", "c", identityKeys, "", identityKeys), errOtherRealm.Error()},
		"of no realm":          {w.Vendor(Handle{r1.inst}, ""), connection(t, "", "c", identityKeys, "", identityKeys), errOtherRealm.Error()},
	} {
		before := w.secrets.count()
		got, err := ask(tt.v, tt.c)
		if err == nil || sdk.AsDenial(err) != nil || got != "" || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tt.want)
		}
		if w.secrets.count() != before {
			t.Errorf("%s: a store was asked", name)
		}
	}
}

// A call that brings no identity along cannot use the one of a call that is under way at the same time.
func TestVendorIsNotLentTheIdentityOfAnotherCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	r1, _, _ := w.vendors(t)
	first := make(chan error, 1)
	go func() {
		got, err := r1.Vend(t.Context(), sdk.VendRequest{Connection: connection(t, "r1", "waits", identityKeys, "", identityKeys)})
		if string(got.Properties["found"].Reveal()) != "operator aws/keys" {
			err = errors.Join(err, errors.New("the first call did not get its own"))
		}
		first <- err
	}()
	// The second call frees the first one at its end only.
	_, err := r1.Vend(t.Context(), sdk.VendRequest{Connection: connection(t, "r1", "lets go", identityKeys, "", "")})
	if err == nil || !strings.Contains(err.Error(), "not granted") {
		t.Errorf("the second call: %v", err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// What the host does to answer the vendor is lent nothing.
func TestNobodyElseIsLentTheIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	r1, _, _ := w.vendors(t)
	m := w.mapper(t, "resolve other")
	nested := &nestedSecrets{ask: func(ctx context.Context) error {
		l, err := w.Leg("r1", []Handle{m})
		if err != nil {
			return err
		}
		return l.Run(ctx, &sdk.State{Request: &sdk.Request{Realm: "r1"}, Identity: &sdk.Identity{Subject: "aws/keys"}})
	}}
	var s Secrets = nested
	r1.inst.secrets.Store(&s)
	const keys = "urn:realmgate-secret:store:aws/keys" // as the mapper asks for it
	_, err := r1.Vend(t.Context(), sdk.VendRequest{Connection: connection(t, "r1", "c", keys, "", keys)})
	if err == nil || !strings.Contains(err.Error(), "not granted") {
		t.Errorf("a call within the call: %v", err)
	}
}

// nestedSecrets makes a call of its own before it answers.
type nestedSecrets struct {
	fakeSecrets
	ask func(context.Context) error
}

func (n *nestedSecrets) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	if err := n.ask(ctx); err != nil {
		return sdk.Secret{}, err
	}
	return n.fakeSecrets.Resolve(ctx, ref)
}
