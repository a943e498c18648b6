package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// shelf is a store in memory.
type shelf struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (s *shelf) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[ref.Path()]
	if !ok {
		return sdk.Secret{}, errors.New("there is no such secret")
	}
	out := sdk.NewSecret(v)
	out.Version = "7"
	return out, nil
}

func (s *shelf) WriteSecret(_ context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[ref.Path()] = value
	return "7", nil
}

func (s *shelf) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, ref.Path())
	return nil
}

// secretsRig is the API over one shelf, with a log and an audit log.
type secretsRig struct {
	*Client
	shelf *shelf
	log   *strings.Builder
	audit string
}

func newSecretsRig(t *testing.T) *secretsRig {
	t.Helper()
	x := &secretsRig{shelf: &shelf{values: map[string][]byte{}}, log: &strings.Builder{}, audit: filepath.Join(t.TempDir(), "audit.log")}
	log, err := audit.Open(audit.Config{Path: x.audit, Refuse: true, Logger: hclog.NewNullLogger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s := secret.New(nil)
	s.SetStores([]secret.Store{
		{Name: "local", Resolver: x.shelf, Writer: x.shelf, Grants: []secret.Grant{{Realm: "a", Prefix: "a/"}}},
		{Name: "env", Resolver: x.shelf, OperatorOnly: true},
	})
	x.Client = serve(t, Handler(Deps{
		Realms: func() []Realm { return nil }, Plugins: func() []Plugin { return nil },
		Secrets: func() Secrets { return AuditedSecrets(s, log) },
		Logger:  hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: x.log}),
	}))
	return x
}

func refTo(t *testing.T, text string) sdk.SecretRef {
	t.Helper()
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:" + text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestSecrets(t *testing.T) {
	x := newSecretsRig(t)
	ctx := t.Context()
	stores, err := x.SecretStores(ctx)
	if err != nil || len(stores) != 2 || !stores[0].OperatorOnly || stores[0].Writable || !stores[1].Writable || !slices.Equal(stores[1].Grants, []SecretGrant{{"a", "a/"}}) {
		t.Errorf("%+v, %v", stores, err)
	}
	values := map[string]string{"local:a/text": "hunter2 \"quoted\"\n", "local:a/binary": "hunter2\xff\x00", "local:a/empty": "", "local:a/b@c+d=e~f:g": "hunter2"}
	for text, value := range values {
		ref := refTo(t, text)
		put, err := x.PutSecret(ctx, ref, []byte(value))
		if err != nil || put.Version != "7" || put.Bytes != len(value) || put.Reveal() != nil {
			t.Errorf("%s: %+v, %v", text, put, err)
		}
		if got, err := x.Secret(ctx, ref, false); err != nil || got.Reveal() != nil || got.Bytes != len(value) || got.Version != "7" {
			t.Errorf("%s, not revealed: %+v, %v", text, got, err)
		}
		got, err := x.Secret(ctx, ref, true)
		if err != nil || string(got.Reveal()) != value || got.Reference != ref.String() {
			t.Errorf("%s: %q, %v", text, got.Reveal(), err)
		}
		if shown := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(shown, "hunter2") {
			t.Errorf("a stored secret prints itself: %s", shown)
		}
	}
	for range 2 {
		if err := x.DeleteSecret(ctx, refTo(t, "local:a/text")); err != nil {
			t.Error(err)
		}
	}
	raw, err := os.ReadFile(x.audit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"event":"stored_secret.write","outcome":"attempted","reference":"urn:realmgate-secret:local:a/text"`,
		`"event":"stored_secret.write","outcome":"done"`, `"event":"stored_secret.read","outcome":"done"`, `"event":"stored_secret.delete","outcome":"done"`, `"secret_version":"7"`,
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the audit log does not tell %s:\n%s", want, raw)
		}
	}
	if strings.Contains(string(raw)+x.log.String(), "hunter2") {
		t.Errorf("a log repeats a secret:\n%s%s", raw, x.log)
	}
	if !strings.Contains(x.log.String(), "secret store changed") {
		t.Errorf("the log does not tell of changes: %s", x.log)
	}
}

func TestSecretRefusals(t *testing.T) {
	x := newSecretsRig(t)
	x.shelf.values["x"] = []byte("hunter2")
	tests := []struct {
		name   string
		do     func(context.Context) error
		status int
		text   string
	}{
		{"no such secret", func(ctx context.Context) error { _, err := x.Secret(ctx, refTo(t, "local:nothing"), true); return err }, 502, "there is no such secret"},
		{"no such store", func(ctx context.Context) error { _, err := x.Secret(ctx, refTo(t, "nowhere:x"), true); return err }, 404, "nowhere"},
		{"a store that is not written", func(ctx context.Context) error { _, err := x.PutSecret(ctx, refTo(t, "env:x"), nil); return err }, 400, "cannot be written"},
		{"a version", func(ctx context.Context) error {
			_, err := x.PutSecret(ctx, refTo(t, "local:x?=version=1"), []byte("y"))
			return err
		}, 400, "single version"},
		{"a field", func(ctx context.Context) error { return x.DeleteSecret(ctx, refTo(t, "local:x#f")) }, 400, "single version or field"},
		{"no reference", func(ctx context.Context) error { return x.do(ctx, http.MethodGet, "/v1/secrets/hunter2", nil, nil) }, 400, "reference"},
		{"dots", func(ctx context.Context) error {
			return x.do(ctx, http.MethodGet, "/v1/secrets/urn%3Arealmgate-secret%3Alocal%3Aa%2F..%2Fx", nil, nil)
		}, 400, "segment"},
		{"an unescaped path", func(ctx context.Context) error {
			return x.do(ctx, http.MethodGet, "/v1/secrets/urn:realmgate-secret:local:a/x", nil, nil)
		}, 404, "nothing at this path"},
		{"a parameter", func(ctx context.Context) error {
			return x.do(ctx, http.MethodGet, secretPath(refTo(t, "local:x"))+"?reveal=1", nil, nil)
		}, 400, "reveal"},
		{"no value", func(ctx context.Context) error {
			return x.do(ctx, http.MethodPut, secretPath(refTo(t, "local:x")), SecretValue{}, nil)
		}, 400, "value"},
		{"another method", func(ctx context.Context) error {
			return x.do(ctx, http.MethodPost, secretPath(refTo(t, "local:x")), nil, nil)
		}, 405, ""},
	}
	for _, tt := range tests {
		err := tt.do(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Status != tt.status || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %d %q", tt.name, err, tt.status, tt.text)
		}
	}
	if string(x.shelf.values["x"]) != "hunter2" || len(x.shelf.values) != 1 {
		t.Errorf("something was changed: %v", x.shelf.values)
	}
}

// What no line can be written of does not happen: nothing is changed, and nothing is revealed.
func TestSecretsWithoutAudit(t *testing.T) {
	s := secret.New(nil)
	m := &shelf{values: map[string][]byte{"x": []byte("hunter2")}}
	s.SetStores([]secret.Store{{Name: "local", Resolver: m, Writer: m}})
	log, err := audit.Open(audit.Config{Path: "/dev/full", Refuse: true, Logger: hclog.NewNullLogger()})
	if err != nil {
		t.Skip(err)
	}
	defer log.Close()
	c := serve(t, Handler(Deps{Realms: func() []Realm { return nil }, Secrets: func() Secrets { return AuditedSecrets(s, log) }}))
	ref := refTo(t, "local:x")
	got, err1 := c.Secret(t.Context(), ref, true)
	_, err2 := c.PutSecret(t.Context(), ref, []byte("y"))
	for _, err := range []error{err1, err2, c.DeleteSecret(t.Context(), ref)} {
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeUnaudited {
			t.Errorf("%v, want %s", err, CodeUnaudited)
		}
	}
	if got.Reveal() != nil || string(m.values["x"]) != "hunter2" {
		t.Errorf("%q was revealed, or changed", got.Reveal())
	}
}
