package plugintest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// vault is a secret writer in memory that may be made to misbehave.
type vault struct {
	mu     sync.Mutex
	values map[string][]string // by path, all versions
	flaw   string
}

type vaultSettings struct {
	Name string `json:"name,omitempty"`
}

func (v *vault) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.values[v.at(ref)]
	n := len(all)
	if ref.Version() != "" && v.flaw != "ignores versions" {
		n, _ = strconv.Atoi(ref.Version())
	}
	if n < 1 || n > len(all) {
		return sdk.Secret{}, errors.New("there is no such secret")
	}
	value := all[n-1]
	if v.flaw == "trims" {
		value = strings.TrimSpace(value)
	}
	return sdk.NewSecret([]byte(value)), nil
}

func (v *vault) at(ref sdk.SecretRef) string {
	if v.flaw == "shared" {
		return ref.Path()
	}
	return ref.Store() + ":" + ref.Path()
}

func (v *vault) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flaw == "logs" {
		sdk.Logger(ctx).InfoContext(ctx, "written", "value", string(value))
	}
	v.values[v.at(ref)] = append(v.values[v.at(ref)], string(value))
	if v.flaw == "one version" {
		return "1", nil
	}
	return strconv.Itoa(len(v.values[v.at(ref)])), nil
}

func (v *vault) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.flaw == "deletes once" && v.values[v.at(ref)] == nil {
		return errors.New("there is no such secret")
	}
	if v.flaw != "deletes nothing" {
		delete(v.values, v.at(ref))
	}
	return nil
}

// vaults share one memory.
func vaults(flaw string) []sdk.Implementation {
	v := &vault{values: map[string][]string{}, flaw: flaw}
	return []sdk.Implementation{sdk.SecretResolverType("vault", func(context.Context, sdk.Setup, vaultSettings) (*vault, error) { return v, nil })}
}

func vaultCase() Case {
	return Case{
		Kind: sdk.KindSecretResolver, Type: "vault", Setup: sdk.Setup{Store: "s"}, Elsewhere: `{"name":"other"}`,
		Call: func(ctx context.Context, i *Instance) error { return i.remove(ctx, i.place()) },
	}
}

func TestWriters(t *testing.T) {
	t.Parallel()
	for flaw, want := range map[string]string{
		"": "", "ignores versions": "another value is answered", "trims": "another value", "shared": "another store",
		"one version": "the versions of two writes", "deletes once": "delete: ", "deletes nothing": "what was deleted succeeds", "logs": "logs a secret",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, vaults(flaw), checkWriter, vaultCase(), want)
		})
	}
	c := vaultCase()
	c.Elsewhere = ""
	wantFinding(t, vaults(""), checkWriter, c, "no Elsewhere")
}

// wantFinding runs a check and the look at the log behind it; an empty want wants none.
func wantFinding(t *testing.T, impls []sdk.Implementation, check func(context.Context, *suite, Case) error, c Case, want string) {
	t.Helper()
	s := startSuite(t, impls)
	err := check(t.Context(), s, c)
	s.notes.stop()
	err = errors.Join(err, s.notes.checkSecrecy())
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%v, want %q", err, want)
	}
}

// teller is a credential vendor and a request signer that may be made to misbehave.
type teller struct{ flaw string }

type tellerSettings struct{}

func (v teller) secret(ctx context.Context) (string, error) {
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:s:p")
	if err != nil {
		return "", err
	}
	s, err := ref.Value(ctx)
	if v.flaw == "fails open" && err != nil {
		return "", nil
	}
	if v.flaw == "denies" && err != nil {
		return "", sdk.Deny("no", "no")
	}
	return string(s.Reveal()), err
}

func (v teller) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	c := sdk.ConnectionCredentials{Properties: map[string]sdk.Secret{}, Expires: time.Now().Add(time.Minute)}
	if v.flaw == "nothing" {
		return c, nil
	}
	if string(r.Connection.Authentication) != tellerParameters {
		if v.flaw == "nothing for bad parameters" {
			return c, nil
		}
		return sdk.ConnectionCredentials{}, sdk.Forbid("connection_invalid", "no")
	}
	text, err := v.secret(ctx)
	switch {
	case err != nil:
		return sdk.ConnectionCredentials{}, err
	case len(r.NarrowTo) > 0 && v.flaw != "not narrowed" && v.flaw != "other ones, not narrowed":
		return sdk.ConnectionCredentials{}, sdk.Forbid("narrowing_unsupported", "no")
	}
	if v.flaw == "expired" {
		c.Expires = time.Now().Add(-time.Second)
	}
	if v.flaw == "empty property" {
		text = ""
	}
	if strings.HasPrefix(v.flaw, "other ones") {
		text += rand.Text()
	}
	if v.flaw == "logs" {
		sdk.Logger(ctx).InfoContext(ctx, "vended "+text)
	}
	c.Properties["token"] = sdk.NewSecret([]byte(text))
	return c, nil
}

func (v teller) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	text, err := v.secret(ctx)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	s := sdk.SignedRequest{
		URL:    r.HTTP.Scheme + "://" + r.HTTP.Host + r.HTTP.RawTarget,
		Header: append(slices.Clone(r.HTTP.Header), sdk.Header{Name: "authorization", Value: text}), Expires: time.Now().Add(time.Minute),
	}
	if v.flaw != "stale" {
		s.Header = slices.DeleteFunc(s.Header, func(h sdk.Header) bool { return h.Name == "authorization" && h.Value != text })
	}
	switch v.flaw {
	case "only its own headers":
		s.Header = s.Header[len(s.Header)-1:]
	case "another host":
		s.URL = "https://evil.example" + r.HTTP.RawTarget
	case "another host when presigned":
		if r.Presign {
			s.URL = "https://evil.example" + r.HTTP.RawTarget
		}
	case "a cleaned path":
		s.URL = r.HTTP.Scheme + "://" + r.HTTP.Host + "/a/b"
	case "an odd header":
		s.Header = append(s.Header, sdk.Header{Name: "x", Value: "a\r\nb: c"})
	case "expired":
		s.Expires = time.Now().Add(-time.Second)
	}
	return s, nil
}

func tellers(flaw string) []sdk.Implementation {
	return []sdk.Implementation{sdk.CredentialVendorType("teller", func(context.Context, sdk.Setup, tellerSettings) (teller, error) { return teller{flaw}, nil })}
}

const tellerParameters = `{"secret":"urn:realmgate-secret:s:p"}`

func tellerCase() Case {
	c := sdk.Connection{Realm: "r", Name: "x", Version: 1, Type: "GENERIC_HTTP", URI: "https://example.com", AuthenticationType: "BEARER", Authentication: []byte(tellerParameters)}
	return Case{
		Kind: sdk.KindCredentialVendor, Type: "teller", Setup: sdk.Setup{Realm: "r"}, Secrets: map[string]string{"urn:realmgate-secret:s:p": "hunter2"},
		Vend: &sdk.VendRequest{Connection: c},
		Sign: &sdk.SignRequest{Connection: c, HTTP: sdk.HTTPMessage{Method: "GET", Scheme: "https", Host: "example.com", RawTarget: "/a%2Fb?x"}},
		Call: func(ctx context.Context, i *Instance) error {
			_, err := i.Vend(ctx, sdk.VendRequest{Connection: c})
			return err
		},
	}
}

func TestVendors(t *testing.T) {
	t.Parallel()
	for flaw, want := range map[string]string{
		"": "", "nothing": "without a property", "empty property": "is empty", "expired": "expired at", "not narrowed": "the very ones", "fails open": "succeeds",
		"denies": "is denied", "logs": "logs a secret", "other ones": "", "other ones, not narrowed": "it does not show whether limited ones are limited",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, tellers(flaw), checkVend, tellerCase(), want)
		})
	}
	for flaw, want := range map[string]string{"": "", "nothing for bad parameters": "without a property"} {
		wantFinding(t, tellers(flaw), checkOdd, tellerCase(), want)
	}
	c := tellerCase()
	c.Narrowed = func(context.Context, sdk.VendRequest, sdk.ConnectionCredentials) error {
		return errors.New("they are good for everything")
	}
	wantFinding(t, tellers(""), checkVend, c, "")
	wantFinding(t, tellers("other ones, not narrowed"), checkVend, c, `limited to ["s3://plugintest-narrowed/to/this/"]: they are good for everything`)
	c = tellerCase()
	c.Vend = nil
	wantFinding(t, tellers(""), checkVend, c, "no Vend")
	c = tellerCase()
	c.Vend.Connection.AuthenticationType = implicit
	c.Secrets = nil
	wantFinding(t, tellers("nothing"), checkVend, c, "")
}

func TestSigners(t *testing.T) {
	t.Parallel()
	for flaw, want := range map[string]string{
		"": "", "another host": "is signed as one to https://evil.example", "another host when presigned": "evil.example", "a cleaned path": "the path",
		"an odd header": "on one line", "only its own headers": "lacks a header", "stale": "the authorization that the request had", "expired": "the signature expired", "fails open": "succeeds", "denies": "is denied",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, tellers(flaw), checkSign, tellerCase(), want)
		})
	}
	c := tellerCase()
	c.Sign = nil
	wantFinding(t, tellers(""), checkSign, c, "no Sign")
}

// checker is a mapper that says whether it could do its work.
type checker struct {
	badge
	check func(context.Context) error
}

func (c *checker) Check(ctx context.Context) error { return c.check(ctx) }

func TestCheckers(t *testing.T) {
	t.Parallel()
	for want, check := range map[string]func(context.Context) error{
		"":                         func(context.Context) error { return errors.New("the provider is not reached from here") },
		"panic: boom":              func(context.Context) error { panic("boom") },
		"it does not say within 1": func(context.Context) error { select {} },
	} {
		c := Case{Kind: sdk.KindPrincipalMapper, Type: "badge", Settings: `{"claim":"badge"}`}
		impls := []sdk.Implementation{sdk.PrincipalMapperType("badge", func(_ context.Context, _ sdk.Setup, s settings) (*checker, error) {
			return &checker{badge: badge{settings: s}, check: check}, nil
		})}
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, impls, checkChecker, c, want)
		})
	}
}
