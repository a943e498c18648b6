package aws

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/plugins/aws/sigv4"
	sealed "github.com/realmgate/realmgate/plugins/default/secrets"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// endpoint is the room of connections with the AWS vendor behind it, as the daemon puts them together, at a time of the past:
// signatures bear the time, and no daemon runs on a clock of a test's own.
type endpoint struct {
	t       *testing.T
	service *connection.Service
}

const suiteRealm = "suite"

func newEndpoint(t *testing.T, at time.Time) *endpoint {
	t.Helper()
	now := func() time.Time { return at }
	dir, err := directory.Open(t.Context(), directory.Config{Type: directory.TypeSQLite, Path: filepath.Join(t.TempDir(), "directory.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	folder := t.TempDir()
	local, err := sealed.NewSealed(t.Context(), sdk.Setup{Store: "local"}, sealed.SealedSettings{Dir: filepath.Join(folder, "values"), KeyFile: filepath.Join(folder, "key")})
	if err != nil {
		t.Fatal(err)
	}
	stores := secret.New(nil)
	stores.SetStores([]secret.Store{{Name: "local", Resolver: local, Writer: local, Grants: []secret.Grant{{Realm: suiteRealm, Prefix: suiteRealm + "/"}}}})
	keeper, err := custody.New(custody.Config{Realm: suiteRealm, Store: "local", Prefix: suiteRealm + "/", Ledger: dir, Secrets: stores})
	if err != nil {
		t.Fatal(err)
	}
	var settings sigv4.Settings
	if err := sdk.Decode([]byte(`{}`), &settings); err != nil {
		t.Fatal(err)
	}
	vendor, err := sigv4.NewVendorAt(now)(t.Context(), sdk.Setup{AuthenticationType: connection.AuthSigV4}, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vendor.Close() })
	s, err := connection.New(connection.Config{
		Realm: suiteRealm, Store: dir, Custody: keeper, Granted: stores.Granted, Deny: egress.Default(), Resolver: somewhere{}, Now: now,
		Vendor: func(string) (connection.Vendor, error) { return hosted{vendor, stores}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &endpoint{t: t, service: s}
}

// somewhere is where all hosts are, so that nobody is asked.
type somewhere struct{}

// LookupNetIP is connection.Resolver's.
func (somewhere) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
}

// hosted is a vendor with the host's side: the references that are granted to the realm.
type hosted struct {
	*sigv4.Vendor
	stores *secret.Service
}

// Sign is connection.Vendor's.
func (h hosted) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	return h.Vendor.Sign(sdk.WithHost(ctx, granted{stores: h.stores}), r)
}

// CanSign is connection.Vendor's.
func (hosted) CanSign() bool { return true }

type granted struct {
	sdk.Host // nothing else is asked for
	stores   *secret.Service
}

// ResolveSecret is sdk.Host's.
func (g granted) ResolveSecret(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	return g.stores.ResolveGranted(ctx, suiteRealm, ref)
}

// post sends a body, which has to be answered well.
func (e *endpoint) post(rest string, body, answer any) {
	e.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		e.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(e.t.Context(), http.MethodPost, "/", strings.NewReader(string(raw)))
	w := httptest.NewRecorder()
	e.service.Serve(w, r, connection.Actor{Operator: true}, rest)
	if w.Code/100 != 2 {
		e.t.Fatalf("POST %s: %d %s", rest, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
		e.t.Fatal(err)
	}
}

// create makes the connection of a case.
func (e *endpoint) create(c *suiteCase) {
	e.t.Helper()
	parameters := map[string]string{
		"authenticationType": connection.AuthSigV4, "signingRegion": c.Region, "signingName": c.Service, "accessKeyId": c.Credentials.ID, "secretAccessKey": c.Credentials.Secret,
	}
	if c.Credentials.Token != "" {
		parameters["sessionToken"] = c.Credentials.Token
	}
	properties := map[string]string{"sigv4.normalize-path": strconv.FormatBool(c.Normalize)}
	if c.OmitToken {
		properties["sigv4.session-token"] = "unsigned"
	}
	if c.spaces {
		properties["sigv4.encode-path"] = "once"
	}
	var made connection.Connection
	e.post("", map[string]any{
		"name": "c", "properties": properties,
		"connectionConfigInfo": map[string]any{"connectionType": connection.TypeGenericHTTP, "uri": "https://" + c.message.Host, "authenticationParameters": parameters},
	}, &made)
}

// sign asks for the signature of a case.
func (e *endpoint) sign(c *suiteCase, presign bool) (out connection.Signed) {
	e.t.Helper()
	headers := map[string][]string{}
	for _, h := range c.message.Header {
		headers[h.Name] = append(headers[h.Name], h.Value)
	}
	q := map[string]any{"method": c.message.Method, "uri": "https://" + c.message.Host + c.message.RawTarget, "headers": headers, "payloadSha256": c.message.BodySHA256}
	if presign {
		q["presign"], q["expiresInSeconds"] = true, c.life()
	}
	e.post("/c/sign", q, &out)
	return out
}
