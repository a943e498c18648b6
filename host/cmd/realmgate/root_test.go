package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
)

// A first start with many realms says so in one line, and the file has them all.
func TestManyRootCredentials(t *testing.T) {
	t.Parallel()
	var all []directory.Root
	for n := range maxNamed + 2 {
		all = append(all, directory.Root{Principal: directory.Principal{Realm: fmt.Sprintf("r%02d", n)}, Secret: directory.ClientSecret{ClientID: fmt.Sprintf("client-%d", n)}})
	}
	var note bytes.Buffer
	file := filepath.Join(t.TempDir(), "data", rootCredentialsFile)
	show := rootCredentials{note: &note, file: file, endpoint: func(realm string) string { return "https://gate/realms/" + realm }}
	if err := show.show(all); err != nil {
		t.Fatal(err)
	}
	if got := note.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "realms r00, r01,") || !strings.Contains(got, "r09 and 2 more: ") || !strings.Contains(got, file) {
		t.Errorf("it says %q", got)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), `"client_id"`) != len(all) {
		t.Errorf("%v\n%s", err, text)
	}
}
