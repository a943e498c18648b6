package connection

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// faults makes the n-th call of everything that is counted fail, before it does anything or after.
type faults struct {
	mu    sync.Mutex
	at, n int // 0: none
	after bool
}

var errFault = errors.New("the disk is on fire")

// around does a call, or not, and says so, or not.
func (f *faults) around(call func() error) error {
	f.mu.Lock()
	f.n++
	fails, after := f.n == f.at, f.after
	f.mu.Unlock()
	if fails && !after {
		return errFault
	}
	err := call()
	if fails {
		return errFault
	}
	return err
}

func (f *faults) set(at int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.n, f.after = at, 0, after
}

func (f *faults) happened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n >= f.at
}

// memory is a secret store in memory.
type memory struct {
	*faults
	mu     sync.Mutex
	values map[string]string
}

func (m *memory) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[ref.Path()]
	if !ok {
		return sdk.Secret{}, errors.New("nothing there")
	}
	return sdk.NewSecret([]byte(v)), nil
}

func (m *memory) WriteSecret(_ context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	return "", m.around(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.values[ref.Path()] = string(value)
		return nil
	})
}

func (m *memory) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	return m.around(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.values, ref.Path())
		return nil
	})
}

func (m *memory) paths() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.values))
}

func (m *memory) put(path, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[path] = value
}

// counted is the directory with faults.
type counted struct {
	*directory.Directory
	f *faults
}

func (c counted) CreateConnection(ctx context.Context, realm string, n directory.NewConnection) (out directory.Connection, err error) {
	return out, c.f.around(func() error { out, err = c.Directory.CreateConnection(ctx, realm, n); return err })
}

func (c counted) UpdateConnection(ctx context.Context, realm, name string, u directory.ConnectionUpdate) (out directory.Connection, err error) {
	return out, c.f.around(func() error { out, err = c.Directory.UpdateConnection(ctx, realm, name, u); return err })
}

func (c counted) GetConnection(ctx context.Context, realm, name string) (out directory.Connection, err error) {
	return out, c.f.around(func() error { out, err = c.Directory.GetConnection(ctx, realm, name); return err })
}

func (c counted) DeleteConnection(ctx context.Context, realm, name string, v int64) error {
	return c.f.around(func() error { return c.Directory.DeleteConnection(ctx, realm, name, v) })
}

func (c counted) PlanSecrets(ctx context.Context, realm, owner string, refs []sdk.SecretRef) error {
	return c.f.around(func() error { return c.Directory.PlanSecrets(ctx, realm, owner, refs) })
}

func (c counted) AbandonSecrets(ctx context.Context, realm string, refs []sdk.SecretRef) (out []sdk.SecretRef, err error) {
	return out, c.f.around(func() error { out, err = c.Directory.AbandonSecrets(ctx, realm, refs); return err })
}

func (c counted) DoomedSecrets(ctx context.Context, realm string, before time.Time) (out []directory.WrittenSecret, err error) {
	return out, c.f.around(func() error { out, err = c.Directory.DoomedSecrets(ctx, realm, before); return err })
}

func (c counted) DoomedSecretsOf(ctx context.Context, realm, owner string) (out []directory.WrittenSecret, err error) {
	return out, c.f.around(func() error { out, err = c.Directory.DoomedSecretsOf(ctx, realm, owner); return err })
}

func (c counted) PostponeSecrets(ctx context.Context, realm string, refs []sdk.SecretRef) error {
	return c.f.around(func() error { return c.Directory.PostponeSecrets(ctx, realm, refs) })
}

func (c counted) ForgetSecret(ctx context.Context, realm string, ref sdk.SecretRef) error {
	return c.f.around(func() error { return c.Directory.ForgetSecret(ctx, realm, ref) })
}

// vendor answers what it is told to, and keeps what it was asked.
type vendor struct {
	mu     sync.Mutex
	answer sdk.ConnectionCredentials
	signed func(sdk.SignRequest) sdk.SignedRequest
	err    error
	vends  []sdk.VendRequest
	signs  []sdk.SignRequest
	mute   bool // cannot sign
}

func (v *vendor) Vend(_ context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.vends = append(v.vends, r)
	return v.answer, v.err
}

func (v *vendor) Sign(_ context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.signs = append(v.signs, r)
	if v.err != nil {
		return sdk.SignedRequest{}, v.err
	}
	return v.signed(r), nil
}

func (v *vendor) CanSign() bool { return !v.mute }

// names resolves what it is told to.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n[host]; ok {
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr(a)}, nil
	}
	return nil, errors.New("no such host")
}

// world is what a service is made of, for two realms: r and other.
type world struct {
	t       *testing.T
	path    string
	faults  *faults
	store   *memory
	dir     *directory.Directory
	secrets *secret.Service
	vendor  *vendor
	novend  error
	ids     map[string]Identities
	log     bytes.Buffer
	audit   *audit.Log
	clock   time.Time
	svc     map[string]*Service
	custody map[string]*custody.Custody
}

const (
	userARN  = "arn:aws:iam::123456789012:user/gate"
	realmARN = "arn:aws:iam::123456789012:user/gate-of-r"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, path: filepath.Join(t.TempDir(), "directory.db"), faults: &faults{}, vendor: &vendor{}, clock: time.Now(),
		svc: map[string]*Service{}, custody: map[string]*custody.Custody{},
		ids: map[string]Identities{
			"r":     {NewIdentityRef(ScopeDefault, IdentityAWSIAM): {Type: IdentityAWSIAM, ARN: userARN, DefaultChain: true}, NewIdentityRef(ScopeRealm, IdentityAWSIAM): {Type: IdentityAWSIAM, ARN: realmARN, DefaultChain: true}},
			"other": {},
		},
	}
	w.store = &memory{faults: w.faults, values: map[string]string{}}
	w.vendor.answer = sdk.ConnectionCredentials{Properties: map[string]sdk.Secret{"token": sdk.NewSecret([]byte("vended"))}, Expires: w.clock.Add(time.Hour), AuditID: "session-1"}
	w.vendor.signed = func(r sdk.SignRequest) sdk.SignedRequest {
		return sdk.SignedRequest{URL: r.HTTP.Scheme + "://" + r.HTTP.Host + r.HTTP.RawTarget, Header: append(slices.Clone(r.HTTP.Header), sdk.Header{Name: "authorization", Value: "signed"})}
	}
	var err error
	if w.dir, err = directory.Open(t.Context(), directory.Config{Type: directory.TypeSQLite, Path: w.path, Now: func() time.Time { return w.clock }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.dir.Close() })
	if w.audit, err = audit.Open(audit.Config{Path: audit.Stdout, Stdout: &w.log, Refuse: true}); err != nil {
		t.Fatal(err)
	}
	w.secrets = secret.New(nil)
	w.secrets.SetStores([]secret.Store{
		{Name: "local", Resolver: w.store, Writer: w.store, Grants: []secret.Grant{{Realm: "r", Prefix: "r/"}, {Realm: "other", Prefix: "other/"}}},
		{Name: "second", Resolver: w.store, Grants: []secret.Grant{{Realm: "r", Prefix: "r/"}}},
		{Name: "env", Resolver: w.store, OperatorOnly: true, Grants: []secret.Grant{{Realm: "r", Prefix: "r/"}}},
	})
	for _, realm := range []string{"r", "other"} {
		w.build(realm, "local")
	}
	return w
}

func (w *world) build(realm, store string) {
	w.t.Helper()
	dir := counted{w.dir, w.faults}
	c, err := custody.New(custody.Config{Realm: realm, Store: store, Prefix: realm + "/", Ledger: dir, Secrets: w.secrets, Now: func() time.Time { return w.clock }})
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := New(Config{
		Realm: realm, ManageRoles: []string{"manager"}, UseRoles: []string{"user"}, ReferenceRoles: []string{"referrer"}, Store: dir, Custody: c, Granted: w.secrets.Granted,
		Vendor: func(string) (Vendor, error) {
			if w.novend != nil {
				return nil, w.novend
			}
			return w.vendor, nil
		},
		Identities: w.ids[realm], Deny: egress.Default(), Resolver: names{"metadata.example": "169.254.169.254"}, Audit: w.audit,
		Now: func() time.Time { return w.clock },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.svc[realm], w.custody[realm] = s, c
}

var operator = Actor{Operator: true}

// do sends a request to a realm's service.
func (w *world) do(realm string, a Actor, method, rest, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(sdk.WithRequestID(w.t.Context(), "request-1"), method, "/", strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.URL.RawQuery = ""
	path, query, _ := strings.Cut(rest, "?")
	r.URL.RawQuery = query
	answer := httptest.NewRecorder()
	w.svc[realm].Serve(answer, r, a, path)
	return answer
}

// ok sends a request of the operator to realm r that has to be answered well, and gives the answer.
func (w *world) ok(method, rest, body string, header ...string) Connection {
	w.t.Helper()
	answer := w.do("r", operator, method, rest, body, header...)
	if answer.Code/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, rest, answer.Code, answer.Body)
	}
	var c Connection
	if answer.Code != http.StatusNoContent {
		if err := json.Unmarshal(answer.Body.Bytes(), &c); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, rest, err, answer.Body)
		}
	}
	return c
}

// fault gives what is wrong with an answer, as "status code field".
func fault(answer *httptest.ResponseRecorder) string {
	var b struct{ Error map[string]string }
	if json.Unmarshal(answer.Body.Bytes(), &b) != nil || b.Error == nil {
		return fmt.Sprintf("%d %s", answer.Code, answer.Body)
	}
	code := b.Error["code"]
	if code == "" {
		code = b.Error["reason"]
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", answer.Code, code, b.Error["field"]))
}

// dump gives every value in every table of the database, and the bytes of its files.
func (w *world) dump() string {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var out strings.Builder
	for _, table := range w.tables(db) {
		out.WriteString(w.rows(db, table))
	}
	files, err := filepath.Glob(w.path + "*")
	if err != nil || len(files) == 0 {
		w.t.Fatal(err, files)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			w.t.Fatal(err)
		}
		out.Write(b)
	}
	return out.String()
}

func (w *world) tables(db *sql.DB) []string {
	w.t.Helper()
	rows, err := db.QueryContext(w.t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, name)
	}
	if err := rows.Err(); err != nil || !slices.Contains(out, "connections") || !slices.Contains(out, "written_secrets") {
		w.t.Fatal(err, out)
	}
	return out
}

func (w *world) rows(db *sql.DB, table string) string {
	w.t.Helper()
	rows, err := db.QueryContext(w.t.Context(), `SELECT * FROM "`+table+`"`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		w.t.Fatal(err)
	}
	var out strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			w.t.Fatal(err)
		}
		out.WriteString(table)
		for _, v := range values {
			fmt.Fprintf(&out, "\t%v", *v.(*any))
		}
		out.WriteString("\n")
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return out.String()
}

// count gives how many rows a table has.
func (w *world) count(table string) (n int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(w.t.Context(), `SELECT COUNT(*) FROM "`+table+`"`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// sweep lets time pass and sweeps, twice: what is found late is deleted by the next one.
func (w *world) sweep(realm string) {
	w.t.Helper()
	for range 2 {
		w.clock = w.clock.Add(time.Hour)
		if left, err := w.custody[realm].Sweep(w.t.Context()); err != nil || left != 0 {
			w.t.Fatal(left, err)
		}
	}
}

// empty makes sure that nothing is left of anything.
func (w *world) empty(what string) {
	w.t.Helper()
	if a, b, c := w.count("connections"), w.count("written_secrets"), w.store.paths(); a+b+len(c) != 0 {
		w.t.Errorf("%s: left over: %d connections, %d references, secrets %v", what, a, b, c)
	}
}
