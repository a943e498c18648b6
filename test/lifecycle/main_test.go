package lifecycle

import (
	"flag"
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
	// The tests wait more than they compute; -parallel still counts.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}
