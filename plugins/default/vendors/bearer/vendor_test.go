package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Token{
		"opaque":                               {},
		"1|aB/+=~":                             {},
		"a.b.c":                                {},
		jwt(`{"exp":1700000000,"jti":"id-1"}`): {Expires: time.Unix(1700000000, 0), ID: "id-1"},
		jwt(`{"exp":1700000000.9}`):            {Expires: time.Unix(1700000000, 0)},
		jwt(`{"exp":-1}`):                      {},
		jwt(`{"exp":1e300}`):                   {},
		jwt(`{"exp":"x","jti":"id"}`):          {},
		jwt(`{"jti":"line\nbreak"}`):           {},
		jwt(`{"jti":"` + strings.Repeat("x", maxID+1) + `"}`): {},
		jwt(`[]`): {},
	} {
		got, err := Parse([]byte(text))
		want.value = text
		if err != nil || got != want {
			t.Errorf("%s: %v %q, %v", text, got.Expires, got.ID, err)
		}
	}
	for _, text := range []string{"", " ", "hunter2 ", "hunter2\r\nX: y", "hunter2\x00", "hunt\u00e9r2", strings.Repeat("x", maxToken+1)} {
		if got, err := Parse([]byte(text)); err == nil || got != (Token{}) || strings.Contains(err.Error(), "hunt") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// host knows one secret, and nothing else.
type host struct {
	sdk.Host
	value string
}

func (h host) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	if h.value == "" || ref.String() != "urn:realmgate-secret:s:token" {
		return sdk.Secret{}, errors.New("the store is down")
	}
	return sdk.NewSecret([]byte(h.value)), nil
}

func connection() sdk.Connection {
	return sdk.Connection{
		Realm: "r", Name: "glue", Type: "ICEBERG_REST", URI: "https://example.com", AuthenticationType: Type,
		Authentication: []byte(`{"authenticationType":"BEARER","bearerToken":"urn:realmgate-secret:s:token"}`),
	}
}

func newVendor(t *testing.T, s Settings) *Vendor {
	t.Helper()
	v, err := NewVendor(t.Context(), sdk.Setup{}, s)
	if err != nil {
		t.Fatal(err)
	}
	v.now = func() time.Time { return time.Unix(1700000000, 0) }
	return v
}

func TestVend(t *testing.T) {
	t.Parallel()
	v := newVendor(t, Settings{})
	later := jwt(`{"exp":1700003600,"jti":"id-1"}`)
	tests := map[string]struct {
		secret  string
		change  func(*sdk.VendRequest)
		reason  string // of a denial
		err     string // of a failure
		expires int64
	}{
		"opaque":          {secret: "hunter2"},
		"with a newline":  {secret: "hunter2\n"},
		"JWT":             {secret: later, expires: 1700003600},
		"long enough":     {secret: later, expires: 1700003600, change: func(r *sdk.VendRequest) { r.MinLifetime = time.Hour }},
		"not long enough": {secret: later, reason: ReasonLifetime, change: func(r *sdk.VendRequest) { r.MinLifetime = time.Hour + time.Second }},
		"narrowed":        {secret: "hunter2", reason: ReasonNarrowing, change: func(r *sdk.VendRequest) { r.NarrowTo = []string{"s3://x"} }},
		"expired":         {secret: jwt(`{"exp":1700000000}`), err: "has expired"},
		"store down":      {err: "the store is down"},
		"two lines":       {secret: "hunter2\nhunter2", err: "no header can carry"},
		"empty":           {secret: "\n", err: "empty"},
		"another type":    {secret: "hunter2", reason: ReasonConnection, change: func(r *sdk.VendRequest) { r.Connection.AuthenticationType = "OAUTH" }},
		"no token":        {secret: "hunter2", reason: ReasonConnection, change: func(r *sdk.VendRequest) { r.Connection.Authentication = []byte(`{}`) }},
		"the token itself": {secret: "hunter2", reason: ReasonConnection, change: func(r *sdk.VendRequest) {
			r.Connection.Authentication = []byte(`{"bearerToken":"hunter2"}`)
		}},
	}
	for name, tt := range tests {
		r := sdk.VendRequest{Connection: connection()}
		if tt.change != nil {
			tt.change(&r)
		}
		c, err := v.Vend(sdk.WithHost(t.Context(), host{value: tt.secret}), r)
		d := sdk.AsDenial(err)
		switch {
		case tt.reason != "":
			if d == nil || d.Reason != tt.reason || len(c.Properties) > 0 {
				t.Errorf("%s: %v, want %s", name, err, tt.reason)
			}
		case tt.err != "":
			if d != nil || err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "glue") || len(c.Properties) > 0 {
				t.Errorf("%s: %v, want %q", name, err, tt.err)
			}
		default:
			want := time.Time{}
			if tt.expires > 0 {
				want = time.Unix(tt.expires, 0)
			}
			end := c.Properties[propertyExpires]
			if err != nil || string(c.Properties[propertyToken].Reveal()) != strings.TrimSpace(tt.secret) || !c.Expires.Equal(want) {
				t.Errorf("%s: %v until %v, %v", name, c.Properties, c.Expires, err)
			}
			if tt.expires > 0 && (string(end.Reveal()) != fmt.Sprint(tt.expires*1000) || c.AuditID != "id-1") {
				t.Errorf("%s: until %s, %q", name, end.Reveal(), c.AuditID)
			}
		}
		if err != nil && strings.Contains(fmt.Sprintf("%+v", err), "hunter2") {
			t.Errorf("%s: the error repeats the token: %v", name, err)
		}
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	ctx := sdk.WithHost(t.Context(), host{value: "hunter2"})
	message := sdk.HTTPMessage{
		Method: "GET", Scheme: "https", Host: "example.com:8443", RawTarget: "/v1/a%2Fb?q=%20x",
		Header: []sdk.Header{{Name: "accept", Value: "a"}, {Name: "authorization", Value: "Bearer of the caller"}, {Name: "accept", Value: "b"}},
	}
	v := newVendor(t, Settings{})
	got, err := v.Sign(ctx, sdk.SignRequest{Connection: connection(), HTTP: message})
	want := []sdk.Header{{Name: "accept", Value: "a"}, {Name: "accept", Value: "b"}, {Name: "authorization", Value: "Bearer hunter2"}}
	if err != nil || got.URL != "https://example.com:8443/v1/a%2Fb?q=%20x" || !slices.Equal(got.Header, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, tt := range map[string]struct {
		change func(*sdk.SignRequest)
		allow  bool
		ok     bool
	}{
		"plain http":          {change: func(r *sdk.SignRequest) { r.HTTP.Scheme = "http" }},
		"plain http, allowed": {change: func(r *sdk.SignRequest) { r.HTTP.Scheme = "http" }, allow: true, ok: true},
		"this machine":        {change: func(r *sdk.SignRequest) { r.HTTP.Scheme, r.HTTP.Host = "http", "127.0.0.1:80" }, ok: true},
		"ftp":                 {change: func(r *sdk.SignRequest) { r.HTTP.Scheme = "ftp" }, allow: true},
		"presign":             {change: func(r *sdk.SignRequest) { r.Presign = true }},
		"a user":              {change: func(r *sdk.SignRequest) { r.HTTP.Host = "user@example.com" }},
		"no host":             {change: func(r *sdk.SignRequest) { r.HTTP.Host = "" }},
		"a path in the host":  {change: func(r *sdk.SignRequest) { r.HTTP.Host = "example.com/x" }},
		"a host in the path":  {change: func(r *sdk.SignRequest) { r.HTTP.RawTarget = ".evil.example/" }},
		"a scheme of its own": {change: func(r *sdk.SignRequest) { r.HTTP.Scheme = "http://localhost/?x=https" }},
		"a control character": {change: func(r *sdk.SignRequest) { r.HTTP.RawTarget = "/\r\nx" }},
	} {
		r := sdk.SignRequest{Connection: connection(), HTTP: message}
		tt.change(&r)
		got, err := newVendor(t, Settings{AllowHTTP: tt.allow}).Sign(ctx, r)
		if d := sdk.AsDenial(err); tt.ok != (err == nil) || !tt.ok && (d == nil || d.Reason != ReasonRequest || len(got.Header) > 0) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
