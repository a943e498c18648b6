package catalog

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRestartRunsTheSame: a binary that was changed on disk is nothing that a crash brings into service.
func TestRestartRunsTheSame(t *testing.T) {
	t.Parallel()
	s := source(t, "p", "good")
	binary, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	s.Path = filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(s.Path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil, s)
	h := w.mapper(t, "")
	if err := os.WriteFile(s.Path, []byte("#!/bin/sh\nexit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.kill(t)
	w.ready(t)
	if got, err := w.mapSubject(t, h, "r1", "x"); err != nil || got.Name != "x" {
		t.Error(got, err)
	}
}
