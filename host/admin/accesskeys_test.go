package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/host/accesskey"
	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// vault is a secret store in memory.
type vault struct {
	mu     sync.Mutex
	values map[string]string
	err    error
}

func (v *vault) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return sdk.NewSecret([]byte(v.values[ref.Path()])), v.err
}

func (v *vault) WriteSecret(_ context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.values[ref.Path()] = string(value)
	return "", v.err
}

func (v *vault) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.values, ref.Path())
	return v.err
}

func (v *vault) paths() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(v.values)), " ")
}

// house is the API on a real directory, with a store for the secrets of realm r; realm s has none.
type house struct {
	*Client
	dir   *directory.Directory
	path  string
	vault *vault
	log   bytes.Buffer
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{path: filepath.Join(t.TempDir(), "realmgate.db"), vault: &vault{values: map[string]string{}}}
	var err error
	if h.dir, err = directory.Open(t.Context(), directory.Config{Type: "sqlite", Path: h.path}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.dir.Close() })
	log, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: &h.log})
	if err != nil {
		t.Fatal(err)
	}
	secrets := secret.New(nil)
	secrets.SetStores([]secret.Store{{Name: "local", Resolver: h.vault, Writer: h.vault, Grants: []secret.Grant{{Realm: "r", Prefix: "r/"}}}})
	keep := func(realm string) (*custody.Custody, error) {
		c := custody.Config{Realm: realm, Ledger: h.dir, Secrets: secrets}
		if realm == "r" {
			c.Store, c.Prefix = "local", "r/"
		}
		return custody.New(c)
	}
	h.Client = serve(t, Handler(Deps{
		Directory: Audited(h.dir, log), Realms: func() []Realm { return []Realm{{Name: "r"}, {Name: "s"}} }, Plugins: func() []Plugin { return nil },
		AccessKeys: func(realm string) (*accesskey.Service, error) {
			c, err := keep(realm)
			return accesskey.New(accesskey.Config{Realm: realm, Store: h.dir, Custody: c, Audit: log}), err
		},
		Connections: func(realm string) (*connection.Service, error) {
			c, err := keep(realm)
			if err != nil {
				return nil, err
			}
			return connection.New(connection.Config{
				Realm: realm, Store: h.dir, Custody: c, Granted: secrets.Granted, Audit: log,
				Vendor: func(string) (connection.Vendor, error) { return tellTale{}, nil },
			})
		},
	}))
	return h
}

// tellTale is a vendor that answers what it was asked.
type tellTale struct{}

func (tellTale) Vend(_ context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return sdk.ConnectionCredentials{Properties: map[string]sdk.Secret{"token": sdk.NewSecret([]byte(fmt.Sprint(r.Connection.Name, r.NarrowTo, r.MinLifetime)))}}, nil
}

func (tellTale) Sign(_ context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	return sdk.SignedRequest{URL: r.HTTP.Scheme + "://" + r.HTTP.Host + r.HTTP.RawTarget, Header: append(r.HTTP.Header, sdk.Header{Name: "authorization", Value: r.HTTP.Method + r.HTTP.BodySHA256})}, nil
}

func (tellTale) CanSign() bool { return true }

func TestAccessKeys(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	for _, name := range []string{"alice", "access-keys"} {
		if _, err := h.CreatePrincipal(ctx, "r", NewPrincipal{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	k, err := h.CreateAccessKey(ctx, "r", "alice")
	if err != nil || !regexp.MustCompile(`^RGAK[A-Z2-7]{16}$`).MatchString(k.ID) || !regexp.MustCompile(`^[A-Za-z0-9_-]{40}$`).MatchString(k.Secret) || k.Created.IsZero() {
		t.Fatalf("%s %v", k, err)
	}
	if got := h.vault.values["r/access-keys/"+k.ID]; got != k.Secret {
		t.Errorf("the store has %q", h.vault.paths())
	}
	found, err := h.dir.FindAccessKey(ctx, "r", k.ID)
	if err != nil || found.Principal.Name != "alice" || found.Secret.String() != "urn:realmgate-secret:local:r/access-keys/"+k.ID {
		t.Errorf("%+v %v", found, err)
	}
	if second, err := h.CreateAccessKey(ctx, "r", "access-keys"); err != nil || second.ID == k.ID || second.Secret == k.Secret {
		t.Errorf("%s %v", second, err)
	}
	for range directory.MaxAccessKeys - 1 {
		if _, err := h.CreateAccessKey(ctx, "r", "alice"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := h.AccessKeys(ctx, "r", "alice")
	if err != nil || len(list) != directory.MaxAccessKeys || list[0] != k.AccessKey {
		t.Fatalf("%v %v", list, err)
	}
	before := h.vault.paths()
	for name, tt := range map[string]struct {
		err         error
		status      int
		code, field string
	}{
		"a sixth":               {errorOf(h.CreateAccessKey(ctx, "r", "alice")), 400, CodeInvalid, "principal"},
		"nobody's":              {errorOf(h.CreateAccessKey(ctx, "r", "nobody")), 404, CodeNotFound, ""},
		"a list of nobody":      {errorOf(h.AccessKeys(ctx, "r", "nobody")), 404, CodeNotFound, ""},
		"another's":             {h.DeleteAccessKey(ctx, "r", "access-keys", k.ID), 404, CodeNotFound, ""},
		"another realm's":       {errorOf(h.AccessKeys(ctx, "s", "alice")), 404, CodeNotFound, ""},
		"none":                  {h.DeleteAccessKey(ctx, "r", "alice", "RGAK"), 404, CodeNotFound, ""},
		"in a realm of no name": {errorOf(h.CreateAccessKey(ctx, "x", "alice")), 404, CodeNotFound, "realm"},
	} {
		var e *Error
		if !errors.As(tt.err, &e) || e.Status != tt.status || e.Code != tt.code || e.Field != tt.field {
			t.Errorf("%s: %+v", name, tt.err)
		}
	}
	if h.vault.paths() != before {
		t.Errorf("a refusal wrote: %s", h.vault.paths())
	}
	if err := h.DeleteAccessKey(ctx, "r", "alice", k.ID); err != nil || strings.Contains(h.vault.paths(), k.ID) {
		t.Errorf("%v %s", err, h.vault.paths())
	}
	if _, err := h.dir.FindAccessKey(ctx, "r", k.ID); sdk.AsDenial(err) == nil {
		t.Errorf("a deleted key: %v", err)
	}
	if err := h.DeletePrincipal(ctx, "r", "alice"); err != nil || len(strings.Fields(h.vault.paths())) != 1 {
		t.Errorf("%v: the secrets of a principal that is gone: %s", err, h.vault.paths())
	}
	for _, text := range []string{h.log.String(), h.database(t), fmt.Sprintf("%v %+v %#v", k, k, k)} {
		if strings.Contains(text, k.Secret) {
			t.Error("a secret is in the audit log, in the database or in print")
		}
	}
	if want := `"event":"access_key.create","outcome":"done","realm":"r","principal_id":"` + found.Principal.ID + `","principal":"alice","access_key":"` + k.ID + `"`; !strings.Contains(h.log.String(), want) {
		t.Errorf("no line with %s", want)
	}
	if want := `"event":"access_key.delete","outcome":"done","realm":"r","principal":"alice","access_key":"` + k.ID + `"`; !strings.Contains(h.log.String(), want) {
		t.Errorf("no line with %s", want)
	}
}

func (h *house) database(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(h.path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

func TestAccessKeysWithoutAStore(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	for _, realm := range []string{"r", "s"} {
		if _, err := h.CreatePrincipal(ctx, realm, NewPrincipal{Name: "bob"}); err != nil {
			t.Fatal(err)
		}
	}
	var e *Error
	if _, err := h.CreateAccessKey(ctx, "s", "bob"); !errors.As(err, &e) || e.Status != 400 || !strings.Contains(e.Message, "secret_store") {
		t.Errorf("%v", err)
	}
	h.vault.err = errors.New("disk full at /var")
	if _, err := h.CreateAccessKey(ctx, "r", "bob"); !errors.As(err, &e) || e.Status != 500 || strings.Contains(e.Message, "/var") {
		t.Errorf("%v", err)
	}
	if keys, err := h.AccessKeys(ctx, "r", "bob"); err != nil || len(keys) != 0 {
		t.Errorf("%v %v", keys, err)
	}
	if h.vault.paths() != "" {
		t.Errorf("left over: %s", h.vault.paths())
	}
}

// The typed client over a real socket, through the whole of a connection's life.
func TestConnectionsOverTheSocket(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	body := json.RawMessage(`{"name":"b","connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":"http://127.0.0.1:1/a","authenticationParameters":{"authenticationType":"BEARER","bearerToken":"hunter2"}}}`)
	made, err := h.CreateConnection(ctx, "r", body)
	if err != nil || made.Name != "b" || made.Info.URI != "http://127.0.0.1:1/a" {
		t.Fatalf("%+v %v", made, err)
	}
	if got, err := h.Connection(ctx, "r", "b"); err != nil || got.Version != made.Version || got.SecretReferences["bearerToken"] != made.SecretReferences["bearerToken"] {
		t.Errorf("%+v %v", got, err)
	}
	if p, err := h.Connections(ctx, "r", Page{Limit: 1}); err != nil || len(p.Connections) != 1 || p.Next != "" {
		t.Errorf("%+v %v", p, err)
	}
	changed, err := h.UpdateConnection(ctx, "r", "b", made.Version, body)
	if err != nil || changed.Version <= made.Version {
		t.Errorf("%+v %v", changed, err)
	}
	var e *Error
	if _, err := h.UpdateConnection(ctx, "r", "b", made.Version, body); !errors.As(err, &e) || e.Status != http.StatusConflict || e.Code != CodeConflict {
		t.Errorf("%v", err)
	}
	if _, err := h.CreateConnection(ctx, "r", json.RawMessage(`{"name":"x"}`)); !errors.As(err, &e) || e.Status != http.StatusBadRequest || e.Field != "connectionConfigInfo" {
		t.Errorf("%v", err)
	}
	if c, err := h.RotateConnectionSecret(ctx, "r", "b", "bearerToken", "hunter3", changed.Version); err != nil || h.vault.values[c.SecretReferences["bearerToken"].Path()] != "hunter3" {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := h.RepointConnection(ctx, "r", "b", "default", 0); !errors.As(err, &e) || e.Field != "identity" {
		t.Errorf("%v", err)
	}
	if v, err := h.ConnectionCredentials(ctx, "r", "b", CredentialsQuery{NarrowTo: []string{"s3://x"}, MinLifetimeSeconds: 60}); err != nil || v.Properties["token"] != "b[s3://x] 1m0s" {
		t.Errorf("%v %v", v.Properties, err)
	}
	signed, err := h.SignForConnection(ctx, "r", "b", SignQuery{Method: "PUT", URI: "http://127.0.0.1:1/a%2Fb", PayloadSHA256: "UNSIGNED-PAYLOAD", Headers: map[string][]string{"X-A": {"1", "2"}}})
	if err != nil || signed.URI != "http://127.0.0.1:1/a%2Fb" || signed.Headers["authorization"][0] != "PUTUNSIGNED-PAYLOAD" || len(signed.Headers["x-a"]) != 2 {
		t.Errorf("%+v %v", signed, err)
	}
	if trial, err := h.TestConnection(ctx, "r", "b"); err != nil || !trial.Credentials.OK || trial.Remote.OK || trial.Remote.Message != "no connection can be made" {
		t.Errorf("%+v %v", trial, err)
	}
	if err := h.DeleteConnection(ctx, "r", "b", made.Version); !errors.As(err, &e) || e.Status != http.StatusConflict {
		t.Errorf("%v", err)
	}
	if err := h.DeleteConnection(ctx, "r", "b", 0); err != nil || h.vault.paths() != "" {
		t.Errorf("%v %s", err, h.vault.paths())
	}
	if _, err := h.Connection(ctx, "s", "b"); !errors.As(err, &e) || e.Status != http.StatusNotFound {
		t.Errorf("%v", err)
	}
	if strings.Contains(h.log.String(), "hunter") || strings.Contains(h.database(t), "hunter") {
		t.Error("a secret is in the audit log or the database")
	}
}
