package lifecycle

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

const hostileName = "realmgate-plugin-hostile"

// TestMain makes the test binary a plugin when it runs under a plugin's name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == hostileName {
		hostile()
		return
	}
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}
