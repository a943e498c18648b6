package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultIsTheCheckedInFile(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../config.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, Default()) {
		t.Error("config.hcl and host/config/default.hcl differ; copy one to the other")
	}
	cfg, diags := Load(Options{Default: Default(), DefaultName: DefaultName})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if cfg.Realms[0].Name != "demo" || cfg.Realms[0].Authentication.TokenBroker.Type != "rsa-key-pair" || cfg.Realms[1].Authentication.Type != Mixed {
		t.Errorf("got %+v", cfg.Realms)
	}
}

func TestEmptyConfiguration(t *testing.T) {
	t.Parallel()
	cfg, diags := Load(Options{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if len(cfg.Listeners) != 1 || cfg.Listeners[0].Name != "main" || cfg.Listeners[0].Address != "127.0.0.1:8642" || cfg.Listeners[0].TLS != nil {
		t.Errorf("got %+v", cfg.Listeners)
	}
	if cfg.PublicURL != "http://127.0.0.1:8642" || cfg.Admin.Socket != "data/admin.sock" || cfg.Directory.Path != "data/realmgate.db" {
		t.Errorf("got %+v", cfg)
	}
}

func TestListenersOfAFileReplaceTheDefault(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, `listener "x" { address = ":1" }`)
	if len(cfg.Listeners) != 1 || cfg.Listeners[0].Name != "x" {
		t.Errorf("got %+v", cfg.Listeners)
	}
	cfg = loadText(t, "", "REALMGATE_LISTENER__MAIN__ADDRESS=127.0.0.1:1", "REALMGATE_ADMIN__SOCKET=")
	if cfg.Listeners[0].Address != "127.0.0.1:1" || cfg.Admin.Socket != "" {
		t.Errorf("got %+v", cfg)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, `
		public_url = "https://auth.example.com/base//"
		realm "a" { hosts = ["A.example.com."] }
		realm "b" {
			issuer   = "https://b.example.com/"
			audience = ["x", "y"]
		}
		listener "tls" {
			trusted_proxies = ["192.0.2.1", "fd00::/8"]
			tls {
				cert_file   = "c"
				key_file    = "k"
				min_version = "1.3"
			}
		}
		plugin "p" {
			sha256 = "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
			env    = { A = "b" }
		}
	`)
	a, b, l, p := cfg.Realms[0], cfg.Realms[1], cfg.Listeners[0], cfg.Plugins[0]
	if a.Issuer != "https://auth.example.com/base/realms/a" || a.Audience[0] != a.Issuer || a.Hosts[0] != "a.example.com" {
		t.Errorf("got %+v", a)
	}
	if b.Issuer != "https://b.example.com/" || strings.Join(b.Audience, " ") != "x y" {
		t.Errorf("got %+v", b)
	}
	if l.TrustedProxies[0].String() != "192.0.2.1/32" || l.TrustedProxies[1].String() != "fd00::/8" || l.TLS.MinVersion != 0x304 {
		t.Errorf("got %+v", l)
	}
	if p.SHA256 != strings.ToLower(p.SHA256) || p.TLS != "auto" || p.Env["A"] != "b" || p.Path != "" {
		t.Errorf("got %+v", p)
	}
}

func TestFlagsAreStrongest(t *testing.T) {
	t.Parallel()
	opts := Options{
		Default: []byte("log {\n level = \"warn\"\n}"), DefaultName: "c.hcl",
		Environ: []string{"REALMGATE_LOG__LEVEL=error", "REALMGATE_LOG__FORMAT=json"},
		Flags:   map[string]any{"log.level": "debug", "public_url": "https://flag.example.com"},
	}
	cfg, diags := Load(opts)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if cfg.Log.Level != "debug" || cfg.Log.Format != "json" || cfg.PublicURL != "https://flag.example.com" {
		t.Errorf("got %+v", cfg)
	}
	opts.Flags = map[string]any{"log.level": "loud", "log.levels": "x", "realm.a.tenant": "x", "log": "x", "log.format": 1, "": "x"}
	cfg, diags = Load(opts)
	if cfg != nil || len(diags) != 6 {
		t.Fatalf("got %v, %v", cfg, diags)
	}
	for _, d := range diags {
		if !strings.HasPrefix(d.String(), "flag ") {
			t.Errorf("got %v", d)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "20.hcl", []byte(`log { level = "warn" }`))
	write(t, dir, "10.hcl", []byte("log {\n level = \"debug\"\n format = \"json\"\n}"))
	write(t, dir, ".hidden.hcl", []byte(`nonsense`))
	write(t, dir, "notes.txt", []byte(`nonsense`))
	cfg, diags := Load(Options{Files: []string{dir}, Default: []byte("nonsense")})
	if cfg == nil || cfg.Log.Level != "warn" || cfg.Log.Format != "json" {
		t.Fatalf("got %+v, %v", cfg, diags)
	}

	missing, empty := filepath.Join(dir, "missing.hcl"), t.TempDir()
	cfg, diags = Load(Options{Files: []string{missing, empty}})
	if cfg != nil || len(diags) != 2 {
		t.Fatalf("got %v, %v", cfg, diags)
	}
	for _, d := range diags {
		if d.File != missing && d.File != empty {
			t.Errorf("got %+v", d)
		}
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"lists":     "a = " + strings.Repeat("[", 1<<12),
		"blocks":    strings.Repeat("a {\n", 1<<12),
		"templates": "a = " + strings.Repeat(`"${`, 1<<12),
		"control":   `a = "` + strings.Repeat(`%{ if true }`, 1<<12),
		"not":       "a = " + strings.Repeat("!", 1<<12),
		"minus":     "a = " + strings.Repeat("- ", 1<<12),
		"ternary":   "a = " + strings.Repeat("b ? c : ", 1<<12),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, diags := Load(Options{Default: []byte(text), DefaultName: "c.hcl"})
			if cfg != nil || len(diags) != 1 || diags[0].Summary != "the nesting is too deep" {
				t.Errorf("got %v, %.200v", cfg, diags)
			}
		})
	}
}

func TestHugeNumberIsRefused(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"1e999999", "1e-999999", "1e99999999999"} {
		if cfg, diags := Load(Options{Default: []byte("secret_store \"x\" {\n type = \"x\"\n n = " + number + "\n}")}); cfg != nil {
			t.Errorf("%s: got %.100s, %v", number, cfg.SecretStores[0].Settings, diags)
		}
	}
}

// FuzzLoad checks that no text makes Load panic, that an error gives no value, and that settings are always JSON objects.
func FuzzLoad(f *testing.F) {
	f.Add(defaultHCL, "REALMGATE_LOG__LEVEL=debug")
	f.Add(places, "REALMGATE_TENANT__T__IDENTITY_PROVIDER__ISSUER=x")
	for _, dir := range []string{"faults", "values"} {
		names, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text), "REALMGATE_REALM__A__TENANT=x")
		}
	}
	f.Fuzz(func(t *testing.T, text, variable string) {
		cfg, diags := Load(Options{Default: []byte(text), DefaultName: "c.hcl", Environ: []string{variable}})
		if (cfg == nil) == (diags.Err() == nil) {
			t.Fatalf("got %v with %v", cfg, diags)
		}
		for _, d := range diags {
			if d.Summary == "" || strings.Contains(d.Summary, "\n") {
				t.Errorf("got %+v", d)
			}
		}
		if cfg == nil {
			return
		}
		parts := []Part{cfg.ActiveRoles}
		for _, r := range cfg.Realms {
			parts = append(parts, r.Authentication.Authenticator)
		}
		for _, n := range cfg.Tenants {
			parts = append(parts, n.IdentityProvider, n.PrincipalMapper, n.PrincipalRolesMapper)
		}
		for _, s := range cfg.SecretStores {
			parts = append(parts, s.Part)
		}
		for _, p := range parts {
			var settings map[string]json.RawMessage
			if err := json.Unmarshal(p.Settings, &settings); err != nil || settings == nil || p.Type == "" {
				t.Errorf("type %q, settings %s: %v", p.Type, p.Settings, err)
			}
		}
	})
}
