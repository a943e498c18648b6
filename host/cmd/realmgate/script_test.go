package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/realmgate/realmgate/internal/buildtest"
)

// TestScripts runs the command line as a user does, one script per subject.
func TestScripts(t *testing.T) {
	t.Parallel()
	plugins, command := buildtest.Plugin(t), unraced(t)
	properties, err := filepath.Abs("../../polaris/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("REALMGATE_PLUGIN_DIR", plugins)
			e.Setenv("UNRACED", command)
			e.Setenv("PROPERTIES", properties)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			e.Setenv("TMPDIR", os.TempDir()) // the scripts' own folder is too deep for the path of a socket
			return nil
		},
	})
}
