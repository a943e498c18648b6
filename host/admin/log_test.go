package admin

import (
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/internal/capture"
)

// A line in the log says what was changed, and by whom.
func TestLog(t *testing.T) {
	var log capture.Buffer
	m := newMemory()
	c, ctx := serve(t, Handler(Deps{
		Directory: m, Realms: func() []Realm { return []Realm{{Name: "r"}} }, Plugins: func() []Plugin { return nil },
		Logger: hclog.New(&hclog.LoggerOptions{Output: &log}),
	})), t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	off := false
	for _, tt := range []struct {
		want string
		do   func()
	}{
		{"", func() { _, _ = c.Principals(ctx, "r", Page{}) }},
		{"", func() { _, _ = c.UpdatePrincipal(ctx, "r", "nobody", PrincipalUpdate{}) }},
		{"action=principal.create realm=r name=bob", func() { must(c.CreatePrincipal(ctx, "r", NewPrincipal{Name: "bob"})) }},
		{"action=principal.update realm=r name=bob", func() { must(c.UpdatePrincipal(ctx, "r", "bob", PrincipalUpdate{Enabled: &off})) }},
		{"action=principal.rotate realm=r name=bob", func() { must(c.RotateSecret(ctx, "r", "bob")) }},
		{"action=principal.reset realm=r name=bob", func() { must(c.ResetSecret(ctx, "r", "bob")) }},
		{"action=role.create realm=r name=dev", func() { must(c.CreateRole(ctx, "r", NewRole{Name: "dev"})) }},
		{"action=role.grant realm=r name=bob role=dev", func() { must(nil, c.GrantRole(ctx, "r", "bob", "dev")) }},
		{"action=role.revoke realm=r name=bob role=dev", func() { must(nil, c.RevokeRole(ctx, "r", "bob", "dev")) }},
		{"action=role.delete realm=r name=dev", func() { must(nil, c.DeleteRole(ctx, "r", "dev")) }},
		{"action=principal.delete realm=r name=bob", func() { must(nil, c.DeletePrincipal(ctx, "r", "bob")) }},
	} {
		before := len(log.String())
		tt.do()
		line := log.String()[before:]
		for end := time.Now().Add(10 * time.Second); line == "" && tt.want != "" && time.Now().Before(end); time.Sleep(time.Millisecond) {
			line = log.String()[before:] // it is written after the answer
		}
		uid := `peer="uid=` + strconv.Itoa(os.Geteuid())
		if tt.want == "" && line != "" || !strings.Contains(line, tt.want) || tt.want != "" && runtime.GOOS == "linux" && !strings.Contains(line, uid+" ") {
			t.Errorf("%q, want %s and %s", line, tt.want, uid)
		}
	}
}

// Names stand in answers as they are.
func TestNoHTMLEscapes(t *testing.T) {
	w := httptest.NewRecorder()
	handlerOf(newMemory()).ServeHTTP(w, httptest.NewRequest("POST", "/v1/realms/r/principals", strings.NewReader(`{"name":"<a&b>"}`)))
	if !strings.Contains(w.Body.String(), `"name":"<a&b>"`) {
		t.Errorf("%s", w.Body)
	}
}
