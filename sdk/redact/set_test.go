package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// secret has what is escaped: line breaks, quotes, HTML, characters of URLs.
const secret = "line-1 of <the key>\nline 2: \"a&b\" 50%/+\nand the last one\u00e9"

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// A secret is found whole and in pieces, in all the ways in which it gets into a log, and nothing of it is left when it is hidden.
func TestSecretsAreFound(t *testing.T) {
	t.Parallel()
	var s Set
	s.Add("the key", secret)
	s.Add("the pin", "hunter2")
	jwt := "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"alice"}`)) + ".c2lnbmF0dXJlIG9mIGl0"
	for _, part := range Parts(jwt) {
		s.Add("the token", part)
	}
	for what, text := range map[string]string{
		"as it is":                    secret,
		"in a log of JSON":            `{"what":` + quoted(secret) + `}`,
		"in an error in a log":        quoted(fmt.Sprintf("bad key %q", secret)),
		"in a log within a log":       quoted(quoted(secret)),
		"quoted for ASCII":            strconv.QuoteToASCII(secret),
		"hexadecimal":                 hex.EncodeToString([]byte(secret)),
		"in capitals":                 strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"for a query":                 url.QueryEscape(secret),
		"for a path":                  url.PathEscape(secret),
		"as bytes":                    fmt.Sprint([]byte(secret)),
		"as bytes with commas":        strings.ReplaceAll(fmt.Sprint([]byte(secret)), " ", ", "),
		"in base64":                   base64.StdEncoding.EncodeToString([]byte(secret)),
		"in base64 behind a name":     base64.URLEncoding.EncodeToString([]byte("ab:" + secret)),
		"each line with a prefix":     "# " + strings.ReplaceAll(secret, "\n", "\n# "),
		"half":                        secret[:len(secret)/2],
		"its end":                     "..." + secret[len(secret)-15:],
		"a short one":                 "pin=hunter2.",
		"a short one in base64":       base64.StdEncoding.EncodeToString([]byte("u:hunter2")),
		"a short one in hexadecimal":  hex.EncodeToString([]byte("hunter2")),
		"a token's claims":            strings.Split(jwt, ".")[1],
		"a token's signature":         strings.Split(jwt, ".")[2],
		"behind eight KiB":            strings.Repeat("x", 8<<10) + secret,
		"a run of it between letters": "x" + secret[1:1+Piece] + "x",
	} {
		if name, found := s.Find(text); !found || name == "" {
			t.Errorf("%s: not found in %.100q", what, text)
		}
		hidden := s.Hide(text, "[hidden]")
		if name, found := s.Find(hidden); found || !strings.Contains(hidden, "[hidden]") {
			t.Errorf("%s: %s is left in %q", what, name, hidden)
		}
	}
	for _, text := range []string{
		"", "line 1 of the keys", "signed with a key of 2 lines", "hunter", "eyJhbGciOiJub25lIn0 is a header", secret[:Piece-1], fmt.Sprint([]byte(secret[:3])), hex.EncodeToString([]byte(secret[:4])),
	} {
		if name, found := s.Find(text); found || s.Hide(text, "[hidden]") != text {
			t.Errorf("%s is found in %q", name, text)
		}
	}
}

// What is no secret of a secret may be told.
func TestParts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"correct horse battery": {"correct horse battery"},
		`{"access_key_id":"AKIA-not-secret","secret_access_key":"abcdefghij","region":"eu-central-1"}`: {"abcdefghij"},
		`{"a":"no name of a secret"}`: {`{"a":"no name of a secret"}`},
		"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n":                {"MIIEvQIBADAN", "BgkqhkiG9w0B"},
		"postgres://alice:p4ssw0rd!@db.example.com:5432/x":                                                    {"p4ssw0rd!"},
		`{"SecurityToken":"abcdefghij","token_type":"Bearer-type","prototype_key":"klmnopqrst"}`:              {"abcdefghij", "klmnopqrst"},
		`{"api_key":"abcdefghij","db":{"users":[{"pwd":"klmnopqrst"}]},"at":"postgres://u:uvwxyzuvw@h"}`:      {"abcdefghij", "klmnopqrst", "uvwxyzuvw"},
		"https://ghp_0123456789abcdefghij:x-oauth-basic@git.example.com":                                      {"ghp_0123456789abcdefghij", "x-oauth-basic"},
		"amqp://u:longpassword@h/?sig=abcdefghij&x=klmnopqrst":                                                {"abcdefghij", "longpassword"},
		"postgres://alice:short@db.example.com":                                                               {"postgres://alice:short@db.example.com"},
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl":                                                    {"eyJzdWIiOiIxIn0", "c2lnbmF0dXJl"},
		"Credential=A/20261125/x/sts/aws4_request, SignedHeaders=host, Signature=" + strings.Repeat("0a", 32): {strings.Repeat("0a", 32)},
	} {
		if got := Parts(text); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
