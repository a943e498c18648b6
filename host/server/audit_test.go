package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/sdk"
)

// checked asks the door of realm a, which audits to w.
func checked(t *testing.T, w *world, out interface{ Write([]byte) (int, error) }, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	log, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: out, Refuse: true})
	if err != nil {
		t.Fatal(err)
	}
	d := w.deps()
	d.Audit = log
	s, err := New(Config{Listeners: []Listener{{Name: "main"}}}, d)
	if err != nil {
		t.Fatal(err)
	}
	l := trusted
	l.Name = "main"
	r := httptest.NewRequest(http.MethodGet, "/realms/a/v1/check", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	s.Handler(l).ServeHTTP(rec, r)
	return rec
}

func TestDecisionsAreAudited(t *testing.T) {
	w := newWorld(t, false)
	fault := errors.New("broken")
	for name, tt := range map[string]struct {
		err    error
		status int
		want   string
	}{
		"yes": {nil, 200, `"event":"decision","outcome":"done","realm":"a","principal_id":"1","principal":"alice","token_id":"t1"}`},
		"no":  {sdk.Deny("token_expired", "x"), 401, `"event":"decision","outcome":"refused","realm":"a","reason":"token_expired"}`},
		"we":  {fault, 503, `"event":"decision","outcome":"unavailable","realm":"a"}`},
	} {
		w.legs["a"].act = func(context.Context, *sdk.State) error { return tt.err }
		var out bytes.Buffer
		rec := checked(t, w, &out, "Authorization", "Bearer hunter2", "X-Forwarded-For", "10.9.9.9, 198.51.100.7")
		if rec.Code != tt.status || !strings.HasSuffix(strings.TrimSpace(out.String()), tt.want) || strings.Contains(out.String(), "hunter2") {
			t.Errorf("%s: %d %s", name, rec.Code, &out)
		}
		var line map[string]string
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line["client"] != "198.51.100.7" || line["peer"] != "192.0.2.1:1234" || line["listener"] != "main" || line["request_id"] != rec.Header().Get("X-Request-Id") {
			t.Errorf("%s: %v", name, line)
		}
	}
	rec := checked(t, w, fullDisk{}, "Authorization", "Bearer x")
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get(principalHeader) != "" {
		t.Errorf("a decision without a line: %d %v", rec.Code, rec.Header())
	}
}

// Anybody can have decisions made that name nobody: a flood of them has few lines. What a principal does has them all.
func TestRefusedDecisionsAreCounted(t *testing.T) {
	for _, door := range []string{"/realms/a/v1/check", "/realms/a/v1/connections"} {
		w := newWorld(t, false).withConnections(t)
		var out bytes.Buffer
		log, err := audit.Open(audit.Config{Path: audit.Stdout, Stdout: &out, Refuse: true})
		if err != nil {
			t.Fatal(err)
		}
		d := w.deps()
		d.Audit = log
		s, err := New(Config{Listeners: []Listener{{Name: "main"}}}, d)
		if err != nil {
			t.Fatal(err)
		}
		no := sdk.Deny("signature_invalid", "x")
		for i := range 100 {
			w.legs["a"].act = func(context.Context, *sdk.State) error {
				if i%2 == 0 {
					return no
				}
				return nil
			}
			r := httptest.NewRequest(http.MethodGet, door, nil)
			r.Header.Set("Authorization", "Bearer x")
			s.Handler(trusted).ServeHTTP(httptest.NewRecorder(), r)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); strings.Count(text, `"outcome":"done"`) != 50 || strings.Count(text, `"outcome":"refused"`) != 2 || !strings.Contains(text, `"count":49`) {
			t.Errorf("%s: %s", door, text)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }
