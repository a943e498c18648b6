package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/pgtest"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// longest is a name that with its message is just under the bound of 1 MiB of what a leg carries.
const longest = 1<<20 - 4<<10

const reference = "urn:realmgate-secret:files:postgres"

// query is the one of the example's configuration.
func query(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(file(t, "realmgate.hcl"), "<<-SQL\n")
	text, _, ok := strings.Cut(rest, "SQL\n")
	if !ok {
		t.Fatal("the example has no query")
	}
	return text
}

func settings(t *testing.T, changes map[string]any) string {
	t.Helper()
	all := map[string]any{"password": reference, "query": query(t)}
	for k, v := range changes {
		all[k] = v
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The binary passes the suite with the very tables, and `realmgate plugin verify` on them; a name may be as long as a message.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	exampleDatabase(t, server)
	url := server.DSNAs("realmgate", "", "app")
	ask := func(ctx context.Context, i *plugintest.Instance, name string) (*sdk.Principal, error) {
		st := sdk.State{Request: &sdk.Request{Realm: "acme"}, Credential: &sdk.Credential{Realm: "acme", Source: sdk.SourceExternal, Principal: sdk.PrincipalRef{Name: name}}}
		err := i.Step(ctx, &st)
		return st.Principal, err
	}
	// The suite makes its calls 64 at a time, with a deadline for each.
	c := plugintest.Case{
		Name: "tables", Kind: sdk.KindAuthenticator, Type: "postgres", Settings: settings(t, map[string]any{"url": url}),
		Secrets: map[string]string{reference: password}, Setup: sdk.Setup{Realm: "acme"},
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			p, err := ask(ctx, i, "eve")
			if err == nil && (p.ID != "1" || !p.Enabled || strings.Join(p.Roles, " ") != "dev ops") {
				return fmt.Errorf("eve is %+v", p)
			}
			return err
		},
	}
	plugintest.Run(t, plugintest.Binary(binary(t)), c)

	c.Name, c.Call = "long names", func(ctx context.Context, i *plugintest.Instance) error {
		_, err := ask(ctx, i, strings.Repeat("n", longest))
		if d := sdk.AsDenial(err); d == nil || d.Reason != "principal_unknown" {
			return errors.Join(errors.New("a long name is not unknown"), err)
		}
		return nil
	}
	plugintest.Run(t, plugintest.Binary(binary(t)), c)

	raw, err := json.Marshal(map[string]any{
		"kind": "authenticator", "type": "postgres", "realm": "acme", "settings": json.RawMessage(c.Settings), "secrets": c.Secrets,
	})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, raw)
}

// verify runs `realmgate plugin verify` on the binary with a case.
func verify(t *testing.T, written []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "case.json")
	if err := os.WriteFile(file, written, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(buildtest.Command(t, "host/cmd/realmgate", "realmgate"), "plugin", "verify", "--case", file, binary(t)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), ", 0 failed, 0 skipped") {
		t.Errorf("%v:\n%s", err, out)
	}
}
