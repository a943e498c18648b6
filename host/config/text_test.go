package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"PT1H": time.Hour, "PT1H30M": 90 * time.Minute, "P1D": 24 * time.Hour, "P1W": 7 * 24 * time.Hour, "P1DT12H": 36 * time.Hour,
		"PT0.5S": 500 * time.Millisecond, "PT0S": 0, "1h30m": 90 * time.Minute, "500ms": 500 * time.Millisecond, "0": 0, "0s": 0,
		"PT1M": time.Minute, "P2DT1S": 48*time.Hour + time.Second,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"P1Y": "no fixed length", "P1M": "no fixed length", "P0Y": "no fixed length", "P1Y2M3DT4H": "no fixed length",
		"": "ISO 8601", "P": "ISO 8601", "PT": "ISO 8601", "P1DT": "ISO 8601", "PT1": "ISO 8601", "1": "ISO 8601", "1d": "ISO 8601",
		"P1H": "ISO 8601", "PT1S1H": "ISO 8601", "PTH": "ISO 8601", "pt1h": "ISO 8601", "PPT1H": "ISO 8601", "P-1D": "ISO 8601",
		"-PT1H": "ISO 8601", "PT1H ": "ISO 8601", "PT١H": "ISO 8601", "-1s": "negative", "P999999999D": "too long",
		"PT" + strings.Repeat("9", 400) + "H": "", "9999999h": "ISO 8601",
	} {
		if got, err := parseDuration(text); err == nil || got != 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %q", text, got, err, want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://auth.example.com": "", "https://auth.example.com:8443/base": "", "http://localhost:80": "", "http://127.3.2.1": "",
		"http://[::1]:8642": "", "https://[2001:db8::1]": "",
		"":                                 "absolute",
		"auth.example.com":                 "absolute",
		"/realms":                          "absolute",
		"ftp://a":                          "absolute",
		"https:auth.example.com":           "write it",
		"https://":                         "no host",
		"https://:443":                     "no host",
		"https://a:b@c":                    "user",
		"https://a?":                       "query",
		"https://a?b=c":                    "query",
		"https://a#":                       "fragment",
		"https://a#b":                      "fragment",
		"http://auth.example.com":          "https",
		"http://127.0.0.1.example.com":     "https",
		"http://localhost.example.com":     "https",
		"https://a:0":                      "port",
		"https://a:99999":                  "port",
		"https://a b":                      "write it",
		"https://a/%zz":                    "write it",
		"http://0.0.0.0":                   "https",
		"http://[::ffff:192.0.2.1]/realms": "https",
	} {
		err := checkURL(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X-Realm", "Polaris-Realm", "Realmgate-Realm", "x_realm"} {
		if err := checkHeader(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "a b", "a:b", "ä", "a\r\nb", "Authorization", "AUTHORIZATION", "host", "X-Forwarded-For", "x-forwarded-anything", "X_Forwarded_Host",
		"Realmgate-Principal", "realmgate_principal_id", "Realmgate-Roles", "Cookie", "X-Original-URI", "Forwarded",
	} {
		if checkHeader(name) == nil {
			t.Errorf("%q must be refused", name)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"kv2/secret/realm1/", "a", "a/b", "/run/secrets/", "a.b/..c/"} {
		if err := checkPrefix(prefix); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	for _, prefix := range []string{"", "/", "//", "..", "a/../b", "a/./b", "a//b", "a/b//", "../a/", "a/..", "a%2f", `a\b`, "a b", "a\x00", "a?x", "a#f", "./"} {
		if checkPrefix(prefix) == nil {
			t.Errorf("%q must be refused", prefix)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "realm1", "oidc-tenant1", "a.b", "...", "_", strings.Repeat("x", 64)} {
		if err := checkName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "a b", "ä", "a\n", "a%2f", strings.Repeat("x", 65), "a\x1fb"} {
		if checkName(name) == nil {
			t.Errorf("%q must be refused", name)
		}
	}
}

func TestNormalHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Auth.Example.COM": "auth.example.com", "a.": "a", "127.0.0.1": "127.0.0.1", "[::1]": "::1", "::1": "::1", "my_host": "my_host",
		"a:80": "", "[::1]:80": "", "": "", ".": "", "a..b": "", "-a": "", "*.a": "", "a/b": "", "ä.example": "", strings.Repeat("a.", 127) + "a": "",
	} {
		got, err := normalHost(text)
		if want == "" && len(text) > 250 {
			continue
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"127.0.0.1:8642": true, ":8642": true, "[::1]:0": true, "localhost:80": true, "auth.example.com:443": true, "0.0.0.0:65535": true,
		"127.0.0.1": false, "8642": false, "a:http": false, "a:65536": false, "a:-1": false, "::1:80": false, "a b:80": false, "": false,
	} {
		if _, _, err := checkAddress(text); (err == nil) != good {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"level", "format", "principal_mapper", "principal_roles_mapper", "a"}
	for given, want := range map[string]string{
		"lvel": "level", "LEVEL": "level", "formt": "format", "principal_maper": "principal_mapper", "principal_role_mapper": "principal_roles_mapper",
		"entirely_else": "", "x": "", "": "", strings.Repeat("l", 1000): "",
	} {
		if got := Suggest(given, known); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}
