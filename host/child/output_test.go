package child

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	tests := []struct{ in, want string }{
		{"got " + jwt + " from x", "got [hidden] from x"},
		{"Authorization: Bearer abc", "Authorization: [hidden]"},
		{`{"authorization":"Basic dXNlcjpwYXNz","x":1}`, `{"authorization":"[hidden]","x":1}`},
		{"map[Authorization:[Basic dXNlcjpwYXNz] Host:[x]]", "map[Authorization:[[hidden]] Host:[x]]"},
		{"sent bearer abcdefgh12345", "sent bearer [hidden]"},
		{"client_secret=hunter2&grant_type=x", "client_secret=[hidden]&grant_type=x"},
		{"password: hunter", "password: [hidden]"},
		{"token=abc", "token=[hidden]"},
		{"secret: 0xdeadbeef", "secret: [hidden]"},
		{`{"client_secret": "a \"quoted\" one", "n": 1}`, `{"client_secret": "[hidden]", "n": 1}`},
		{`{\"password\":\"hunter2\"}`, `{\"password\":\"[hidden]\"}`},
		{"api-key='a b c' rest", "api-key='[hidden]' rest"},
		{"AWS_SECRET_ACCESS_KEY=abc/def+ghi", "AWS_SECRET_ACCESS_KEY=[hidden]"},
		{"postgres://user:pa55@db/x", "postgres://user:[hidden]@db/x"},
		{"-----BEGIN RSA PRIVATE KEY-----MIIE-----END RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----[hidden]-----END RSA PRIVATE KEY-----"},
		// What must stay readable.
		{"", ""},
		{"verify token: expired", "verify token: expired"},
		{"the key \"client_secret\" is required", "the key \"client_secret\" is required"},
		{"/private_key: secret store vault: urn:realmgate-secret:vault:kv/a#pem: there is no such secret", "/private_key: secret store vault: urn:realmgate-secret:vault:kv/a#pem: there is no such secret"},
		{"secret store ci-token: urn:realmgate-secret:ci-token:kv/a#pem: there is no such secret", "secret store ci-token: urn:realmgate-secret:ci-token:kv/a#pem: there is no such secret"},
		{`token="urn:realmgate-secret:vault:kv/a"`, `token="urn:realmgate-secret:vault:kv/a"`},
		{"token: urn:realmgate-secret:vault:kv/a=hunter2?", "token: [hidden]"},
		{"/client_secret: hunter2 store", "/client_secret: [hidden] store"},
		{"urn:realmgate-secret:store:a/b is not there", "urn:realmgate-secret:store:a/b is not there"},
		{"urn:polaris-secret:store:a/b", "urn:polaris-secret:store:a/b"},
		{"https://idp.example.com:8443/jwks", "https://idp.example.com:8443/jwks"},
	}
	for _, tt := range tests {
		if got := (Redactor{}).Redact(tt.in); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

func TestLineWriter(t *testing.T) {
	t.Parallel()
	var got []string
	w := &lineWriter{emit: func(line []byte, cut bool) { got = append(got, fmt.Sprint(len(line), cut)) }}
	for _, s := range []string{"ab", "c\r\n\nde\n", strings.Repeat("x", 3*maxLine), strings.Repeat("x", maxLine), "\n", strings.Repeat("y", maxLine) + "\n", "tail"} {
		if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	w.flush()
	w.flush()
	if want := "[3 false 2 false 8192 true 8192 false 4 false]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// What a program prints when it ends are errors; what only looks like it are none, nor what comes after it went on.
func TestLevels(t *testing.T) {
	t.Parallel()
	const structured = `{"@level":"info","@message":"it goes on"}`
	for name, tt := range map[string]struct {
		lines  []string
		levels string
		last   string
	}{
		"a panic":               {[]string{"panic: no room", "", "goroutine 1 [running]:"}, "error error", "panic: no room"},
		"of the runtime itself": {[]string{"fatal: morestack on g0", "SIGTRAP: trace trap"}, "error error", "fatal: morestack on g0"},
		"a word of many tools":  {[]string{"fatal: not a git repository", "trying another one"}, "info info", "trying another one"},
		"one that goes on":      {[]string{"panic: this was printed only", "more of it", structured, "a line", "another one"}, "error error info info info", "another one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			o := newOutput(hclog.New(&hclog.LoggerOptions{Output: &b, JSONFormat: true}), newBudget())
			for _, l := range tt.lines {
				o.stderr([]byte(l), false)
			}
			o.close(time.Minute)
			var levels []string
			for l := range strings.Lines(b.String()) {
				var entry struct {
					Level string `json:"@level"`
				}
				if err := json.Unmarshal([]byte(l), &entry); err != nil {
					t.Fatal(err)
				}
				levels = append(levels, entry.Level)
			}
			if got := strings.Join(levels, " "); got != tt.levels || o.lastWords() != tt.last {
				t.Errorf("%s, and %q is repeated", got, o.lastWords())
			}
		})
	}
}

// What is printed to the standard output is for who looks for faults.
func TestStdoutIsLoggedAtDebug(t *testing.T) {
	t.Parallel()
	for level, want := range map[hclog.Level]string{hclog.Debug: "[DEBUG] a line: stream=stdout note=\"the standard output belongs to the handshake; log, or print to the standard error\"\n", hclog.Info: ""} {
		var b strings.Builder
		o := newOutput(hclog.New(&hclog.LoggerOptions{Output: &b, Level: level, DisableTime: true}), newBudget())
		o.stdout([]byte("a line"), false)
		o.close(time.Minute)
		if got := b.String(); got != want {
			t.Errorf("at %v: %q, want %q", level, got, want)
		}
	}
}

func FuzzOutput(f *testing.F) {
	for _, s := range []string{`{"@message":1}`, `{"@level":"info","@message":"x","a":[1,{"secret":"x"}]}`, "\x1b[2J\xff\u202e", `{"@level":"info","@message":"m","@timestamp":{}} x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var b strings.Builder
		o := newOutput(hclog.New(&hclog.LoggerOptions{Output: &b, Level: hclog.Trace, JSONFormat: true}), newBudget())
		w := &lineWriter{emit: o.stderr}
		_, _ = w.Write(line)
		w.flush()
		o.close(time.Minute)
		for l := range strings.Lines(b.String()) {
			var entry map[string]any
			if err := json.Unmarshal([]byte(l), &entry); err != nil {
				t.Fatalf("%q: %v", l, err)
			}
			if m := entry["@message"].(string); strings.ContainsFunc(m, unicode.IsControl) || len(m) > 4*maxLine {
				t.Errorf("%q", m)
			}
		}
	})
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\tb\nc":               "a b c",
		"\x1b[31mred\x07":       "[31mred",
		"\u202eevil\u200b":      "evil",
		strings.Repeat("ä", 20): strings.Repeat("ä", 5) + " [cut]",
	} {
		if got := Printable(in, 11); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestCheckHandshake(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir, other := filepath.Join(root, "own"), filepath.Join(root, "other")
	for _, d := range []string{dir, other} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", filepath.Join(d, "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
	}
	own, foreign := filepath.Join(dir, "s"), filepath.Join(other, "s")
	link, alias := filepath.Join(dir, "link"), filepath.Join(root, "alias")
	for to, from := range map[string]string{foreign: link, dir: alias} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	cert := strings.Repeat("A", 60)
	tests := []struct {
		line   string
		tls    bool
		want   string
		reason Reason
	}{
		{"1|1|unix|OWN|grpc|" + cert + "\n", true, "1|1|unix|OWN|grpc|" + cert, ""},
		{"1|1|unix|OWN|grpc|" + cert, false, "1|1|unix|OWN|grpc|", ""}, // go-plugin panics on a certificate here
		{"1|1|unix|" + alias + "/s|grpc|", false, "1|1|unix|" + alias + "/s|grpc|", ""},
		{"1|1|tcp|127.0.0.1:7|grpc", false, "1|1|tcp|127.0.0.1:7|grpc|", ""},
		{"1|1|unix|OWN|grpc|", true, "", ReasonHandshake},
		{"1|1|tcp|203.0.113.1:7|grpc", false, "", ReasonHandshake},
		{"1|1|tcp|localhost|grpc", false, "", ReasonHandshake},
		{"1|1|unix||grpc", false, "", ReasonHandshake},
		{"1|1|unix|" + foreign + "|grpc|", false, "", ReasonHandshake},
		{"1|1|unix|" + foreign + "|grpc|" + cert, true, "", ReasonHandshake},
		{"1|1|unix|" + link + "|grpc|", false, "", ReasonHandshake},
		{"1|1|unix|" + dir + "/../other/s|grpc|", false, "", ReasonHandshake},
		{"1|1|unix|" + dir + "/none|grpc|", false, "", ReasonHandshake},
		{"1|1|unix|@abstract|grpc|", false, "", ReasonHandshake},
		{"1|1|unix|s|grpc|", false, "", ReasonHandshake},
		{"1|1|unix|OWN|netrpc|", false, "", ReasonProtocol},
		{"1|1|unix|OWN", false, "", ReasonProtocol},
		{"2|1|unix|OWN|grpc|", false, "", ReasonProtocol},
		{"1|2|unix|OWN|grpc|", false, "", ReasonProtocol},
		{"1|x|unix|OWN|grpc|", false, "", ReasonProtocol},
		{"x|1|unix|OWN|grpc|", false, "", ReasonHandshake},
		{"hello", false, "", ReasonHandshake},
	}
	for _, tt := range tests {
		line, want := strings.ReplaceAll(tt.line, "OWN", own), strings.ReplaceAll(tt.want, "OWN", own)
		got, refused := checkHandshake(line, tt.tls, false, dir)
		if got != want || (refused == nil) != (tt.reason == "") || refused != nil && refused.Reason != tt.reason {
			t.Errorf("%s: %q %+v", line, got, refused)
		}
	}
}
