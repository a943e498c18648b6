package config

import "testing"

// Whatever is quoted is read back as it was.
func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a", "a\x01b", "\x7f", "\a\v\x00", "${x}", "%{x}", "$${x}", "$", `\"`, "a\nb\tc\r", "\u00a0\u2028", "\U000e0001", "ä"} {
		cfg, diags := Load(Options{Default: []byte("plugin \"x\" {\n  path = " + Quote(s) + "\n}\n"), DefaultName: "a"})
		if diags.Err() != nil || len(cfg.Plugins) != 1 {
			t.Errorf("%q: %v", s, diags)
			continue
		}
		if got := cfg.Plugins[0].Path; got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}
