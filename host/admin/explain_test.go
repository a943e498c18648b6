package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
)

func TestExplainRequestHidesItsToken(t *testing.T) {
	r := ExplainRequest{Realm: "demo", Token: "canary-1f2e3d"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, r); strings.Contains(s, "canary") || !strings.Contains(s, "demo") {
			t.Errorf("%s: %s", format, s)
		}
	}
}

func TestExplainHandler(t *testing.T) {
	const good = `{"realm":"demo","token":"x"}`
	tests := []struct {
		name, method, body string
		err                error
		status             int
		want               string
	}{
		{"done", "POST", good, nil, 200, `"verdict":"allowed"`},
		{"another method", "GET", "", nil, 405, CodeMethodNotAllowed},
		{"no realm", "POST", `{"token":"x"}`, nil, 400, "either a realm or a host"},
		{"realm and host", "POST", `{"realm":"a","host":"b","token":"x"}`, nil, 400, "either a realm or a host"},
		{"no token", "POST", `{"realm":"demo"}`, nil, 400, `"field":"token"`},
		{"unknown key", "POST", `{"realm":"demo","token":"x","more":1}`, nil, 400, `"field":"more"`},
		{"too large", "POST", `{"realm":"demo","token":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, CodeTooLarge},
		{"no line in the audit log", "POST", good, audit.ErrUnwritten, 503, CodeUnaudited},
		{"the daemon's fault", "POST", good, errors.New("canary"), 500, CodeInternal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := ExplainHandler(func(context.Context, ExplainRequest) (Explained, error) {
				return Explained{Explanation: Explanation{Verdict: "allowed"}}, tt.err
			}, hclog.NewNullLogger())
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tt.method, ExplainPath, strings.NewReader(tt.body)))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || strings.Contains(w.Body.String(), "canary") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if tt.status != http.StatusOK && strings.Contains(w.Body.String(), "verdict") {
				t.Errorf("an explanation leaves: %s", w.Body)
			}
		})
	}
}
