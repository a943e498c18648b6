package awssig_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

// suite is the official test suite of Signature Version 4, in the layout of awslabs/aws-c-auth: a folder per case.
const suite = "../../../../shared/sigv4-suite"

type suiteContext struct {
	Credentials struct {
		Secret string `json:"secret_access_key"`
	} `json:"credentials"`
	Normalize bool      `json:"normalize"`
	OmitToken bool      `json:"omit_session_token"`
	Timestamp time.Time `json:"timestamp"`
}

// The signed requests of the suite, in both forms, are verified.
func TestOfficialSuite(t *testing.T) {
	t.Parallel()
	found, _ := filepath.Glob(filepath.Join(suite, "v4", "*", "context.json"))
	if len(found) == 0 {
		found, _ = filepath.Glob(filepath.Join(suite, "*", "context.json"))
	}
	if len(found) == 0 {
		t.Skipf("the official suite is not in %s", suite)
	}
	if len(found) < 38 {
		t.Errorf("the suite has %d cases, 38 are known", len(found))
	}
	for _, file := range found {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var c suiteContext
			if err := json.Unmarshal([]byte(readFile(t, dir, "context.json")), &c); err != nil {
				t.Fatal(err)
			}
			for _, form := range []string{"header", "query"} {
				c.verify(t, form, readFile(t, dir, form+"-signed-request.txt"))
			}
		})
	}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

func (c suiteContext) verify(t *testing.T, form, text string) {
	t.Helper()
	m, body := parseMessage(t, text)
	r, err := awssig.Read(m)
	if err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	var p awssig.Proof
	if form == "header" {
		p, err = awssig.ParseAuthorization(strings.TrimPrefix(strings.Join(m.Values("authorization"), ""), awssig.Algorithm+" "))
	} else {
		if token, err := firstOf(r.Query, awssig.ParamToken); err == nil { // the suite has it behind the signature, too
			r.Query = r.Query.Without(awssig.ParamToken)
			if !c.OmitToken {
				r.Query = append(r.Query, token)
			}
		}
		p, err = awssig.ParsePresigned(r.Query)
	}
	if err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	payload := strings.Join(m.Values("x-amz-content-sha256"), "")
	if payload == "" {
		sum := sha256.Sum256([]byte(body))
		payload = hex.EncodeToString(sum[:])
	}
	canonical, err := r.Canonical(p, payload, awssig.Rules{Normalize: c.Normalize})
	if err != nil || !p.Fits([]byte(c.Credentials.Secret), c.Timestamp, canonical) {
		t.Errorf("%s: %v, the signature is not that of\n%s", form, err, canonical)
	}
	if p.Fits([]byte(c.Credentials.Secret), c.Timestamp, strings.Replace(canonical, "host:", "host:x", 1)) {
		t.Errorf("%s: the signature is that of another request, too", form)
	}
}

func firstOf(q awssig.Query, name string) (awssig.Param, error) {
	for _, x := range q {
		if x.Name == name {
			return x, nil
		}
	}
	return awssig.Param{}, os.ErrNotExist
}

// parseMessage reads the suite's form of a request: a target may have spaces in it, and a line that begins with one is a further
// value of the header before it.
func parseMessage(t *testing.T, text string) (*sdk.HTTPMessage, string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	first := strings.TrimSuffix(lines[0], " HTTP/1.1")
	m := &sdk.HTTPMessage{}
	m.Method, m.RawTarget, _ = strings.Cut(first, " ")
	name := ""
	for _, line := range lines[1:] {
		value := line
		if strings.TrimLeft(line, " \t") == line {
			name, value, _ = strings.Cut(line, ":")
			name = strings.ToLower(name)
		}
		if name == "host" {
			m.Host = value
			continue
		}
		m.Header = append(m.Header, sdk.Header{Name: name, Value: value})
	}
	return m, body
}
