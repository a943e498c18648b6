package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
)

const theSecret = "hunter2+/%: x"

// host knows one secret, which may change, and nothing else.
type host struct {
	sdk.Host
	mu    sync.Mutex
	value string
}

func (h *host) set(v string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.value = v
}

func (h *host) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.value == "" || ref.String() != "urn:realmgate-secret:s:secret" {
		return sdk.Secret{}, errors.New("the store is down")
	}
	return sdk.NewSecret([]byte(h.value)), nil
}

// rig is a vendor, its clock, and the host that it runs in.
type rig struct {
	*Vendor
	host   *host
	offset atomic.Int64
}

func newRig(t *testing.T, settings map[string]any) *rig {
	t.Helper()
	if settings == nil {
		settings = map[string]any{}
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	var s Settings
	if err := sdk.Decode(raw, &s); err != nil {
		t.Fatal(err)
	}
	x := &rig{host: &host{value: theSecret}}
	now := func() time.Time { return time.Now().Add(time.Duration(x.offset.Load())) }
	ctx := breaker.WithOutbound(t.Context(), breaker.NewOutbound(breaker.Config{Now: now}, nil))
	if x.Vendor, err = newVendor(ctx, s, now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func (x *rig) advance(d time.Duration) { x.offset.Add(int64(d)) }

func (x *rig) vend(t *testing.T, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	t.Helper()
	c, err := x.Vend(sdk.WithHost(t.Context(), x.host), r)
	if err != nil {
		if text := fmt.Sprintf("%+v", err); strings.Contains(text, "hunter2") || strings.Contains(text, "evil") {
			t.Errorf("the error repeats what it must not: %s", text)
		}
		if len(c.Properties) > 0 {
			t.Errorf("credentials with an error: %v", c)
		}
	}
	return c, err
}

// token vends and wants credentials.
func (x *rig) token(t *testing.T, at string) string {
	t.Helper()
	c, err := x.vend(t, sdk.VendRequest{Connection: connection(at)})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Properties["token"].Reveal())
}

// wantFailure vends and wants an error that is no denial.
func (x *rig) wantFailure(t *testing.T, at, want string) {
	t.Helper()
	_, err := x.vend(t, sdk.VendRequest{Connection: connection(at)})
	if err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "connection glue") {
		t.Errorf("%v, want %q", err, want)
	}
}

func connection(at string) sdk.Connection { return connectionOf(at, "client") }

func connectionOf(at, client string, scopes ...string) sdk.Connection {
	raw, err := json.Marshal(map[string]any{
		"authenticationType": Type, "tokenUri": at, "clientId": client, "clientSecret": "urn:realmgate-secret:s:secret", "scopes": scopes,
	})
	if err != nil {
		panic(err)
	}
	return sdk.Connection{Realm: "r", Name: "glue", Version: 1, Type: "ICEBERG_REST", URI: "https://example.com/catalog/", AuthenticationType: Type, Authentication: raw}
}

// endpoint is a token endpoint for what a real one cannot be made to do. Each token is another one.
type endpoint struct {
	*httptest.Server
	asked  atomic.Int64
	answer atomic.Value // of type http.HandlerFunc
}

func newEndpoint(t *testing.T, answer http.HandlerFunc) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.answer.Store(answer)
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.asked.Add(1)
		e.answer.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

// tokenFor answers tokens that live for a number of seconds.
func tokenFor(seconds int) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":%d}`, n.Add(1), seconds)
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func text(body string) http.HandlerFunc { return status(http.StatusOK, body) }
