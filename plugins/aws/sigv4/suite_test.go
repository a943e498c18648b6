package sigv4

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/sdk"
)

// suite is the official test suite of Signature Version 4, in the layout of awslabs/aws-c-auth: a folder per case.
const suite = "../../../../shared/sigv4-suite"

// suiteContext is a case's context.json.
type suiteContext struct {
	Credentials struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
		Token  string `json:"token"`
	} `json:"credentials"`
	Expiration *int64    `json:"expiration_in_seconds"`
	Normalize  bool      `json:"normalize"`
	Region     string    `json:"region"`
	Service    string    `json:"service"`
	SignBody   bool      `json:"sign_body"`
	OmitToken  bool      `json:"omit_session_token"`
	Timestamp  time.Time `json:"timestamp"`
}

func TestOfficialSuite(t *testing.T) {
	t.Parallel()
	var cases []string
	_ = filepath.WalkDir(suite, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "context.json" && filepath.Base(filepath.Dir(filepath.Dir(path))) != "v4a" {
			cases = append(cases, filepath.Dir(path))
		}
		return nil
	})
	if len(cases) == 0 {
		t.Skipf("the official suite is not in %s", suite)
	}
	if len(cases) < 38 {
		t.Errorf("the suite has %d cases, 38 are known", len(cases))
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			checkCase(t, dir)
		})
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

func checkCase(t *testing.T, dir string) {
	t.Helper()
	var c suiteContext
	if err := json.Unmarshal([]byte(read(t, dir, "context.json")), &c); err != nil {
		t.Fatal(err)
	}
	message, body := parseRequest(t, read(t, dir, "request.txt"))
	sum := sha256.Sum256([]byte(body))
	message.BodySHA256 = hex.EncodeToString(sum[:])
	if c.SignBody {
		message.Header = append(message.Header, sdk.Header{Name: "X-Amz-Content-Sha256", Value: message.BodySHA256})
	}
	v, ctx, r := c.vendor(t)
	r.HTTP = message
	s, err := v.Sign(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := parseRequest(t, read(t, dir, "header-signed-request.txt"))
	if got := header(s, "authorization"); !slices.Contains(want.Values("authorization"), got) {
		t.Errorf("headers: %s, want %q", got, want.Values("authorization"))
	}
	r.Presign, r.Lifetime = true, time.Hour
	if c.Expiration != nil {
		r.Lifetime = time.Duration(*c.Expiration) * time.Second
	}
	p, err := v.Sign(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	want, _ = parseRequest(t, read(t, dir, "query-signed-request.txt"))
	if got, want := query(p.URL), query(want.RawTarget); got.Get("X-Amz-Signature") != want.Get("X-Amz-Signature") || got.Get("X-Amz-SignedHeaders") != want.Get("X-Amz-SignedHeaders") {
		t.Errorf("URL: %v, want %v", got, want)
	}
}

// vendor gives one whose clock stands at the case's time, and a connection with the case's keys and rules.
func (c *suiteContext) vendor(t *testing.T) (*Vendor, context.Context, sdk.SignRequest) {
	t.Helper()
	const secretRef, tokenRef = "urn:realmgate-secret:s:secret", "urn:realmgate-secret:s:token"
	parameters := map[string]string{
		"signingRegion": c.Region, "signingName": c.Service, "accessKeyId": c.Credentials.ID, "secretAccessKey": secretRef,
	}
	if c.Credentials.Token != "" {
		parameters["sessionToken"] = tokenRef
	}
	raw, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	var settings Settings
	if err := sdk.Decode([]byte(`{}`), &settings); err != nil {
		t.Fatal(err)
	}
	v, err := NewVendorAt(func() time.Time { return c.Timestamp })(t.Context(), sdk.Setup{}, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	token := "signed"
	if c.OmitToken {
		token = "unsigned"
	}
	ctx := sdk.WithHost(t.Context(), awstest.NewSecrets(map[string]string{secretRef: c.Credentials.Secret, tokenRef: c.Credentials.Token}))
	return v, ctx, sdk.SignRequest{Connection: sdk.Connection{
		Realm: "r", Name: "suite", AuthenticationType: authenticationType, Authentication: raw,
		Properties: map[string]string{propertyNormalize: strconv.FormatBool(c.Normalize), propertyToken: token},
	}}
}

func header(s sdk.SignedRequest, name string) string {
	for _, h := range s.Header {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func query(target string) url.Values {
	_, raw, _ := strings.Cut(target, "?")
	values, _ := url.ParseQuery(raw)
	return values
}

// parseRequest reads a request in the suite's form: the target may have spaces in it, and a line that begins with one goes on
// with the header before it, as a further value.
func parseRequest(t *testing.T, text string) (sdk.HTTPMessage, string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	method, rest, ok := strings.Cut(lines[0], " ")
	target, isHTTP := strings.CutSuffix(rest, " HTTP/1.1")
	if !ok || !isHTTP {
		t.Fatalf("the request line is %q", lines[0])
	}
	m := sdk.HTTPMessage{Method: method, Scheme: "https", RawTarget: target}
	name := ""
	for _, line := range lines[1:] {
		value := line
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			name, value, ok = strings.Cut(line, ":")
			if !ok {
				t.Fatalf("the header is %q", line)
			}
		}
		if strings.EqualFold(name, "host") {
			m.Host = strings.TrimSpace(value)
			continue
		}
		m.Header = append(m.Header, sdk.Header{Name: strings.ToLower(name), Value: strings.TrimSpace(value)})
	}
	return m, body
}
