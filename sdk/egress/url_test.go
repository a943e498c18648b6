package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	good := []string{
		"https://example.com", "https://example.com/a/b?c=d", "http://127.0.0.1:8080/", "http://localhost", "https://[::1]:443/", "https://a_b.example.com.",
		"https://xn--bcher-kva.example", "https://10.0.0.1", "https://1.example.com", "https://0xg", "https://[2001:db8::1]",
	}
	for _, text := range good {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := Default().CheckURL(u); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	bad := map[string]string{
		"ftp://example.com":                    "neither https nor http",
		"HTTPS:example.com":                    "no host",
		"//example.com":                        "neither https nor http",
		"https:///path":                        "no host",
		"https://user@example.com":             "a user",
		"https://user:hunter2@example.com":     "a user",
		"https://@example.com":                 "a user",
		"https://example.com:0":                "port",
		"https://example.com:":                 "port",
		"https://example.com:65536":            "port",
		"https://:443/":                        "1 to 253",
		"https://a..b":                         "labels",
		"https://b\u00fccher.example":          "labels",
		"https://\uff11\uff12\uff17.0.0.1":     "labels",
		"https://127\u30020\u30020\u30021":     "labels",
		"https://2130706433/":                  "unusual",
		"https://0x7f000001/":                  "unusual",
		"https://0X7F.1/":                      "unusual",
		"https://0x/":                          "unusual",
		"https://0177.0.0.1/":                  "unusual",
		"https://127.1/":                       "unusual",
		"https://127.0.0.1./":                  "unusual",
		"https://169.254.169.254.":             "unusual",
		"https://256.0.0.1":                    "unusual",
		"https://169.254.169.254/latest":       "169.254.0.0/16",
		"https://[::ffff:169.254.169.254]":     "169.254.0.0/16",
		"https://[64:ff9b::a9fe:a9fe]":         "169.254.0.0/16",
		"https://[fe80::1%25eth0]/":            "zone",
		"https://[2001:db8::1%25x]/":           "zone",
		"https://0.0.0.0":                      "0.0.0.0/8",
		"https://" + strings.Repeat("a.", 127): "1 to 253",
	}
	for text, want := range bad {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		err = Default().CheckURL(u)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the password: %v", text, err)
		}
	}
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"https://example.com": true, "http://example.com": false, "http://localhost:1": true, "http://127.8.8.8": true, "http://[::1]": true,
		"http://[::ffff:127.0.0.1]": true, "http://localhost.example.com": false, "http://10.0.0.1": false, "ftp://localhost": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := CheckSecret(u) == nil; got != ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// What passes has no user, a host that everybody reads alike, and no refused address; and it passes once more when it is
// written and read again.
func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{
		"https://example.com/a", "http://127.0.0.1:80", "https://[::ffff:169.254.169.254]", "https://0x7f.1", "https://u@h", "https://[fe80::1%25e]",
		"https://169.254.169.254./", "https://a%2eb", "https://\uff11", "https://h:", "https://1.2.3", "https://[::1]:99999",
	} {
		f.Add(s)
	}
	l := Default()
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil || l.CheckURL(u) != nil {
			return
		}
		host := u.Hostname()
		if u.User != nil || strings.ContainsAny(host, "@/\\%?# ") {
			t.Fatalf("%q passes", text)
		}
		if a, err := netip.ParseAddr(host); err == nil {
			if err := l.Check(a); errors.Is(err, ErrRefused) || a.Zone() != "" {
				t.Fatalf("%q passes: %v", text, err)
			}
		} else if last := host[strings.LastIndex(strings.TrimSuffix(host, "."), ".")+1:]; last != "" && last[0] >= '0' && last[0] <= '9' && strings.Trim(last, "0123456789.") == "" {
			t.Fatalf("%q passes with a number at the end", text)
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Hostname() != host || l.CheckURL(again) != nil {
			t.Fatalf("%q is written as %q, which does not pass: %v", text, u, err)
		}
	})
}
