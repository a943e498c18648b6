package vaulttest

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

func TestDev(t *testing.T) {
	t.Parallel()
	s := Dev(t)
	s.Do(t, http.MethodPost, "secret/data/a", map[string]any{"data": map[string]any{"x": "1"}})
	got, _ := s.Do(t, http.MethodGet, "secret/data/a", nil)["data"].(map[string]any)
	if got["x"] != "1" {
		t.Errorf("%v", got)
	}
	if status := s.Status(t, http.MethodGet, "secret/data/a", "s.none"); status != http.StatusForbidden {
		t.Errorf("without a token: %d", status)
	}
}

func TestSealStopAndResume(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Do(t, http.MethodPost, "sys/mounts/kv", map[string]any{"type": "kv"})
	s.Do(t, http.MethodPost, "kv/a", map[string]any{"x": "1"})
	s.Seal(t)
	if status := s.Status(t, http.MethodGet, "kv/a", s.Token); status != http.StatusServiceUnavailable {
		t.Errorf("sealed: %d", status)
	}
	s.Unseal(t)
	s.Stop()
	if answer, err := s.http.Get(s.URL); err == nil {
		_ = answer.Body.Close()
		t.Error("it answers after Stop")
	}
	s.Resume(t)
	s.Unseal(t)
	if got := s.Do(t, http.MethodGet, "kv/a", nil); got["x"] != "1" {
		t.Errorf("%v", got)
	}
}

func TestTheScriptBuildsTheSamePlace(t *testing.T) {
	t.Parallel()
	path := Binary(t)
	script := exec.Command(filepath.Join(buildtest.Root(t), ".ci", "vault"))
	out, err := script.Output()
	if err != nil || strings.TrimSpace(string(out)) != path {
		t.Errorf("%s %v, want %s", out, err, path)
	}
}
