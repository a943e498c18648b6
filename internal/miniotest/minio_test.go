package miniotest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

func TestStopAndResume(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Stop()
	if answer, err := http.Get(s.URL); err == nil {
		_ = answer.Body.Close()
		t.Error("it answers after Stop")
	}
	s.Resume(t)
	answer, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("a request without a signature: %s", answer.Status)
	}
}

func TestVersionIsTheScripts(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(buildtest.Root(t), ".ci", "lib.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), "MINIO_VERSION="+Version+"\n") {
		t.Errorf(".ci/lib.sh pins another version than %s", Version)
	}
}
