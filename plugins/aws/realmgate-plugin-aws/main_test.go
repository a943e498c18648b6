package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Who asks the binary what it does is told what it does by hand, too.
func TestHelp(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	out, err := exec.CommandContext(t.Context(), binary, "--help").Output()
	for _, want := range []string{"realmgate-plugin-aws login", "not run by hand", `credential-vendor "sigv4"`} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%q is missing, %v:\n%s", want, err, out)
		}
	}
}
