package generation_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/host/remember"
	"github.com/realmgate/realmgate/sdk/keyset"
)

const remembering = `
realm "demo" {
  authentication {
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:vars:KEY"
    }
    cache {
      max_age        = "1h"
      denied_max_age = "1h"
    }
  }
}
secret_store "vars" {
  type      = "env"
  variables = ["KEY"]
}
`

func rememberingWorld(t testing.TB) *world {
	w := newWorld(t, map[string]string{"KEY": benchKey})
	w.Memory = remember.New(remember.Limits{Allowed: 8 << 20, Denied: 8 << 20}, w.directory)
	return w
}

// fromMemory says whether a decision was one that was remembered.
func (w *world) fromMemory(decide func()) bool {
	before := w.Memory.Stats().Memory
	decide()
	return w.Memory.Stats().Memory == before+1
}

// Every change that a decision depends on counts at the next request, although decisions are remembered for an hour.
func TestChangesCountAtOnce(t *testing.T) {
	w := rememberingWorld(t)
	gen := w.build(t, remembering)
	token := w.token(t, gen, "demo")
	ctx := t.Context()
	off := false
	for _, step := range []struct {
		name   string
		change func() error
		want   string // the reason of a denial; empty: allowed
		roles  int
	}{
		{"at first", func() error { return nil }, "", 1},
		{"a role more", func() error {
			if _, err := w.directory.CreateRole(ctx, "demo", "auditor", nil); err != nil {
				return err
			}
			return w.directory.GrantRole(ctx, "demo", "root", "auditor")
		}, "", 2},
		{"a role less", func() error { return w.directory.RevokeRole(ctx, "demo", "root", "auditor") }, "", 1},
		{"another realm's change", func() error { _, err := w.directory.CreateRole(ctx, "other", "x", nil); return err }, "", 1},
		{"revoked", func() error {
			return w.directory.RevokeToken(ctx, "demo", "http://127.0.0.1:8642/realms/demo", decide(t, gen, "demo", token).TokenID, time.Now().Add(time.Hour))
		}, "token_revoked", 0},
		{"disabled", func() error {
			_, err := w.directory.UpdatePrincipal(ctx, "demo", "root", directory.Update{Enabled: &off})
			return err
		}, "principal_disabled", 0},
	} {
		if err := step.change(); err != nil {
			t.Fatal(step.name, err)
		}
		for i := range 3 {
			var d pipeline.Decision
			remembered := w.fromMemory(func() { d = decide(t, gen, "demo", token) })
			switch {
			case step.want == "" && (d.Verdict != pipeline.Allowed || len(d.Roles) != step.roles), step.want != "" && (d.Verdict != pipeline.Denied || d.Denial.Reason != step.want):
				t.Errorf("%s: %v %v %v %v", step.name, d.Verdict, d.Roles, d.Denial, d.Err)
			case remembered != (i > 0 || step.name == "another realm's change"):
				t.Errorf("%s, request %d: from memory: %v", step.name, i+1, remembered)
			}
		}
	}
}

// A reload begins with nothing remembered, and leaves nothing of what was.
func TestReloadForgets(t *testing.T) {
	w := rememberingWorld(t)
	gen := w.build(t, remembering)
	token := w.token(t, gen, "demo")
	decide(t, gen, "demo", token)
	decide(t, gen, "demo", "no.such.token")
	var h generation.Holder
	h.Switch(generation.Hold(gen))
	next := w.build(t, remembering)
	old := h.Switch(generation.Hold(next))
	if w.fromMemory(func() { decide(t, next, "demo", token) }) {
		t.Error("a generation remembers what another one decided")
	}
	if err := old.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := w.Memory.Stats(); s.AllowedEntries != 1 || s.DeniedEntries != 0 {
		t.Errorf("a generation that ended left something behind: %+v", s)
	}
	if !w.fromMemory(func() { decide(t, next, "demo", token) }) {
		t.Error("the end of a generation took what another one remembers")
	}
}

// A key that is taken out of its folder is noticed while decisions are asked for, remembered or not, and what is remembered of
// its tokens ends.
func TestKeyThatIsGone(t *testing.T) {
	w := rememberingWorld(t)
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := keyset.Generate(dir, keyset.NewKeySpec{Algorithm: keyset.ES256}, time.Now()); err != nil {
		t.Fatal(err)
	}
	gen := w.build(t, fmt.Sprintf("realm \"demo\" {\n  authentication {\n    token_broker {\n      type    = \"key-pair\"\n      key_dir = %q\n    }\n    cache {\n      max_age = \"1h\"\n    }\n  }\n}\n", dir))
	token := w.token(t, gen, "demo")
	svc, _ := gen.TokenService("demo")
	svc.ServeKeys(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) // the daemon knows the key
	if d := decide(t, gen, "demo", token); d.Verdict != pipeline.Allowed {
		t.Fatalf("%v %v", d.Denial, d.Err)
	}
	if _, err := keyset.Rotate(dir, keyset.Rotation{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		d := decide(t, gen, "demo", token)
		if d.Verdict == pipeline.Denied && d.Denial.Reason == "key_unknown" {
			return
		}
		if d.Verdict != pipeline.Allowed || ctx.Err() != nil {
			t.Fatalf("a token of a key that is gone: %v %v %v", d.Verdict, d.Denial, d.Err)
		}
		svc.LookAtKeys(ctx) // as the check door does with each request
		time.Sleep(20 * time.Millisecond)
	}
}
