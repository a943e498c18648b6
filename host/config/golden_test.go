package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden parts of testdata anew")

// TestFaults loads the *.hcl files of each archive, with the variables in env, and compares what is reported with want.
func TestFaults(t *testing.T) {
	t.Parallel()
	archives(t, "testdata/faults", func(t *testing.T, opts Options) string {
		cfg, diags := Load(opts)
		if (diags.Err() == nil) != (cfg != nil) {
			t.Errorf("an error must give no value, and no error a value: %v", cfg)
		}
		var out bytes.Buffer
		if err := diags.Write(&out); err != nil {
			t.Fatal(err)
		}
		// The word stands for a secret wherever an archive uses it.
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("a secret is repeated:\n%s", &out)
		}
		return out.String()
	})
}

// TestValues loads the *.hcl files of each archive and compares what comes out for the realms and tenants.
func TestValues(t *testing.T) {
	t.Parallel()
	archives(t, "testdata/values", func(t *testing.T, opts Options) string {
		cfg, diags := Load(opts)
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		return dump(cfg)
	})
}

// What a configuration says without being told otherwise; the manual's tables say the same.
var (
	defaultAudit         = Audit{Path: "data/audit.log", Refuse: true, MaxSizeMB: 100, MaxBackups: 10}
	defaultDecisionCache = DecisionCache{Memory: 64 << 20, DeniedMemory: 8 << 20}
	defaultCache         = Cache{MaxAge: time.Minute, DeniedMaxAge: 2 * time.Second}

	defaultLimit = Limit{
		ClientRate: 50, ClientBurst: 100, PeerRate: 100, PeerBurst: 200, IntrospectionRate: 200, IntrospectionBurst: 400, Failures: 5, PeerFailures: 50,
		Delay: time.Second, MaxDelay: time.Minute, Forget: 15 * time.Minute,
	}
)

func dump(cfg *Config) string {
	var out strings.Builder
	line := func(name string, p Part) { fmt.Fprintf(&out, "  %s %s %s\n", name, p.Type, p.Settings) }
	if cfg.Audit != defaultAudit {
		fmt.Fprintf(&out, "audit %+v\n", cfg.Audit)
	}
	if cfg.DecisionCache != defaultDecisionCache {
		fmt.Fprintf(&out, "decision_cache %+v\n", cfg.DecisionCache)
	}
	fmt.Fprintf(&out, "active_roles_provider %s %s\n", cfg.ActiveRoles.Type, cfg.ActiveRoles.Settings)
	for _, s := range cfg.SecretStores {
		fmt.Fprintf(&out, "secret_store %s %s %s\n", s.Name, s.Type, s.Settings)
	}
	for _, v := range cfg.Vendors {
		if v.Written {
			line("credential_vendor "+v.Authentication, v.Part)
		}
	}
	identities(&out, "", cfg.Identities)
	for _, n := range cfg.Tenants {
		fmt.Fprintf(&out, "tenant %s\n", n.Name)
		line("identity_provider", n.IdentityProvider)
		line("principal_mapper", n.PrincipalMapper)
		line("principal_roles_mapper", n.PrincipalRolesMapper)
	}
	for _, r := range cfg.Realms {
		a := r.Authentication
		fmt.Fprintf(&out, "realm %s %s tenant=%q timeout=%s\n", r.Name, a.Type, r.Tenant, a.Timeout)
		if a.Cache != defaultCache {
			fmt.Fprintf(&out, "  cache %+v\n", a.Cache)
		}
		identities(&out, "  ", r.Identities)
		if c := r.Connections; c.SecretStore != "" || c.SecretPrefix != r.Name+"/" || len(c.ManageRoles)+len(c.UseRoles)+len(c.ReferenceRoles) > 0 || c.DenyAddresses != nil {
			fmt.Fprintf(&out, "  connections %s:%s manage=%v use=%v reference=%v deny=%v default=%v\n", c.SecretStore, c.SecretPrefix, c.ManageRoles, c.UseRoles, c.ReferenceRoles, c.DenyAddresses, c.DenyAddresses == nil)
		}
		line("authenticator", a.Authenticator)
		if a.Type == External {
			continue
		}
		line("token_broker", a.TokenBroker)
		s := a.TokenService
		if s.Limit != defaultLimit {
			fmt.Fprintf(&out, "  limit %+v\n", s.Limit)
		}
		fmt.Fprintf(&out, "  token_service %s default=%q aliases=%v session=%s\n", s.Type, s.DefaultScope, s.ScopeAliases, s.MaxSession)
	}
	return out.String()
}

func identities(out *strings.Builder, indent string, all []ServiceIdentity) {
	for _, i := range all {
		fmt.Fprintf(out, "%sservice_identity %s %s credentials=%q\n", indent, i.Type, i.ARN, i.Credentials)
	}
}

func archives(t *testing.T, dir string, run func(*testing.T, Options) string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives in %s: %v", dir, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			opts, want := unpack(t, archive)
			got := run(t, opts)
			got = strings.ReplaceAll(got, filepath.Dir(opts.Files[0])+string(filepath.Separator), "")
			if *update {
				golden(t, name, archive, got)
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// unpack writes the files of an archive and gives the options that load them.
func unpack(t *testing.T, archive *txtar.Archive) (opts Options, want string) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range archive.Files {
		switch {
		case strings.HasSuffix(f.Name, ".hcl"):
			opts.Files = append(opts.Files, write(t, dir, f.Name, f.Data))
		case f.Name == "env":
			opts.Environ = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		case f.Name == "want":
			want = string(f.Data)
		}
	}
	return opts, want
}

func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func golden(t *testing.T, name string, archive *txtar.Archive, got string) {
	t.Helper()
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != "want" {
			kept = append(kept, f)
		}
	}
	archive.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}
