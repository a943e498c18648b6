package aws

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/need"
	"github.com/realmgate/realmgate/internal/nginxtest"
)

const signedConfig = `secret_store "local" {
  type     = "sealed-file"
  dir      = "data/secrets"
  key_file = "data/secrets.key"
  grant {
    realm  = "api"
    prefix = "api/"
  }
  grant {
    realm  = "objects"
    prefix = "objects/"
  }
}
connections {
  secret_store = "local"
}
authentication {
  type = "external"
}
tenant_defaults {
  principal_mapper {
    id_claim_path   = "principal_id"
    name_claim_path = "principal_name"
  }
}
tenant "keys" {
  identity_provider {
    type      = "aws-sigv4"
    region    = "eu-west-1"
    service   = "execute-api"
    presigned = true
  }
}
tenant "s3" {
  identity_provider {
    type    = "aws-sigv4"
    region  = "eu-west-1"
    service = "s3"
  }
}
realm "api" {
  tenant = "keys"
}
realm "objects" {
  tenant = "s3"
}
`

// signedProxy is an nginx with the example's configuration, which is the manual's too; it tells the test the reason of a refusal.
func signedProxy(t *testing.T, d *daemon, realm, upstream string) string {
	t.Helper()
	example, err := os.ReadFile(filepath.Join(buildtest.Root(t), "examples", "nginx", "realmgate.conf"))
	if err != nil {
		t.Fatal(err)
	}
	const ask = "auth_request /_realmgate;"
	config := strings.NewReplacer("127.0.0.1:8080", `{{listen "proxy"}}`, "127.0.0.1:8642/realms/demo", strings.TrimPrefix(d.URL, "http://")+"/realms/"+realm,
		"http://127.0.0.1:9000", upstream, ask, ask+`
			auth_request_set $reason $upstream_http_realmgate_reason;
			add_header Realmgate-Reason $reason always;`).Replace(string(example))
	if strings.Contains(config, "8642/") || !strings.Contains(config, "$reason") {
		t.Fatal("the example has another form")
	}
	return nginxtest.Start(t, config).URL("proxy")
}

// service is what stands behind the proxy: it compares the body with the hash that was signed.
func service(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != hashOf(string(body)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("ETag", `"x"`)
		for name, values := range r.Header {
			if name = strings.ReplaceAll(name, "_", "-"); strings.HasPrefix(name, "Realmgate-") {
				w.Header().Set("Seen-"+name, strings.Join(values, ","))
			}
		}
		_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Header.Get("Realmgate-Principal"), r.Method, r.RequestURI, body)
	}))
	t.Cleanup(s.Close)
	return s
}

// accessKey gives a principal a key.
func (d *daemon) accessKey(realm, principal string) sdkaws.Credentials {
	d.t.Helper()
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	out := d.Operate("principal", "access-key", "create", "--realm", realm, principal, "--json")
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.ID == "" || made.Secret == "" {
		d.t.Fatalf("no access key: %v", err)
	}
	return sdkaws.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret}
}

// call sends a signed request through the proxy; change may spoil it after it was signed.
func call(t *testing.T, proxy string, keys sdkaws.Credentials, method, target, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, proxy+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", hashOf(body))
	r.Header["X-Amz-Meta-A"] = []string{"  one   two", "three"}
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hashOf(body), "execute-api", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, res.Header.Get("Realmgate-Reason")
	}
	return res.StatusCode, string(raw)
}

// A client that signs with a key that Realmgate issued, nginx, the daemon with its plugin and its sealed store, and a service.
func TestSignedRequestsBehindNginx(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "trusted_proxies = [\"127.0.0.1\"]\n  forwarded = \"x-original\"", signedConfig)
	d.Principal("api", "alice", "reader")
	d.Principal("objects", "alice", "reader")
	keys := d.accessKey("api", "alice")
	proxy := signedProxy(t, d, "api", service(t).URL)
	const target = "/v1/ns%1Fa/t:b//../c?x=a%20b%2B&y=2" // the SDK sorts the query

	for _, method := range []string{http.MethodGet, http.MethodPut} {
		body := map[string]string{http.MethodPut: "a body"}[method]
		if status, got := call(t, proxy, keys, method, target, body, nil); status != 200 || got != "alice "+method+" "+target+" "+body {
			t.Errorf("%s: %d %q", method, status, got)
		}
	}
	elsewhere := d.accessKey("objects", "alice")
	unknown := keys
	unknown.AccessKeyID = "RGAK" + strings.Repeat("Z", 16)
	wrong := keys
	wrong.SecretAccessKey += "x"
	session := keys
	session.SessionToken = "x"
	for name, tt := range map[string]struct {
		keys   sdkaws.Credentials
		change func(*http.Request)
		status int
		reason string
	}{
		"a key of another realm": {elsewhere, nil, 401, "signature_invalid"},
		"an unknown key":         {unknown, nil, 401, "signature_invalid"},
		"another secret":         {wrong, nil, 401, "signature_invalid"},
		"a session":              {session, nil, 401, "session_token_not_allowed"},
		"another path":           {keys, func(r *http.Request) { r.URL.Opaque = "//" + r.URL.Host + "/v1/ns%1Fa/t:b/c" }, 401, "signature_invalid"},
		"another host":           {keys, func(r *http.Request) { r.Host = "evil.example" }, 401, "signature_invalid"},
		"another value":          {keys, func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "x") }, 401, "signature_invalid"},
		"one header more":        {keys, func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, 401, "header_not_signed"},
		"told another path":      {keys, func(r *http.Request) { r.URL.RawQuery += "&admin=1"; r.Header.Set("X-Original-URI", target) }, 401, "signature_invalid"},
		"told another method":    {keys, func(r *http.Request) { r.Method = "DELETE"; r.Header.Set("X-Original-Method", "GET") }, 401, "signature_invalid"},
		"told another host": {keys, func(r *http.Request) {
			r.Header.Set("X-Original-Host", r.URL.Host)
			r.Header.Set("X-Forwarded-Host", r.URL.Host)
			r.Host = "evil.example"
		}, 401, "signature_invalid"},
	} {
		if status, got := call(t, proxy, tt.keys, http.MethodGet, target, "", tt.change); status != tt.status || got != tt.reason {
			t.Errorf("%s: %d %s, want %d %s", name, status, got, tt.status, tt.reason)
		}
	}
	if status, _ := call(t, proxy, keys, http.MethodPut, target, "a body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("b body")) }); status != http.StatusBadRequest {
		t.Errorf("another body, which the service sees: %d", status)
	}
	forged(t, proxy, keys)
	presigned(t, proxy, keys)
	t.Run("curl", func(t *testing.T) { curl(t, proxy, keys) })

	d.Operate("principal", "disable", "--realm", "api", "alice")
	if status, got := call(t, proxy, keys, http.MethodGet, target, "", nil); status != 403 || got != "principal_disabled" {
		t.Errorf("a disabled principal: %d %s", status, got)
	}
	d.Operate("principal", "enable", "--realm", "api", "alice")
	d.Operate("principal", "access-key", "delete", "--realm", "api", "alice", keys.AccessKeyID)
	if status, got := call(t, proxy, keys, http.MethodGet, target, "", nil); status != 401 || got != "signature_invalid" {
		t.Errorf("a deleted key: %d %s", status, got)
	}
}

// forged sends identity headers with a good signature, as which the service sees none of them.
func forged(t *testing.T, proxy string, keys sdkaws.Credentials) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", hashOf(""))
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hashOf(""), "execute-api", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Realmgate-Principal", "Realmgate-Principal-Id", "Realmgate-Roles", "Realmgate-Realm"} {
		r.Header.Set(name, "forged")
		r.Header[strings.ReplaceAll(name, "-", "_")] = []string{"forged"}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	seen := 0
	for name, values := range res.Header {
		if strings.HasPrefix(name, "Seen-") {
			seen++
			if values[0] == "forged" {
				t.Errorf("the service sees a forged %s", name)
			}
		}
	}
	if res.StatusCode != http.StatusOK || seen != 4 || res.Header.Get("Seen-Realmgate-Principal") != "alice" || res.Header.Get("Seen-Realmgate-Roles") != "reader" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

// The manual has one configuration of nginx, the one that is tested: a copy would not be.
func TestOneConfigurationOfNginx(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(buildtest.Root(t), "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil || strings.Contains(string(text), "auth_request") || strings.Contains(string(text), "```nginx") {
			t.Errorf("%s has a configuration of nginx of its own, %v", filepath.Base(page), err)
		}
	}
}

// presigned follows a URL that is signed, as a browser would.
func presigned(t *testing.T, proxy string, keys sdkaws.Credentials) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy+"/v1/report?year=2026&X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), keys, r, hashOf(""), "execute-api", "eu-west-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]int{signed: 200, signed + "&x=1": 401, strings.Replace(signed, "year=2026", "year=2025", 1): 401} {
		res, err := http.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", at, res.StatusCode, want)
		}
	}
}

// curl is a client of its own make; the command is that of the manual.
func curl(t *testing.T, proxy string, keys sdkaws.Credentials) {
	t.Helper()
	command := need.Command(t, "curl")
	out, err := exec.CommandContext(t.Context(), command, "-s", "--aws-sigv4", "aws:amz:eu-west-1:execute-api", "--user", keys.AccessKeyID+":"+keys.SecretAccessKey,
		"-H", "x-amz-content-sha256: "+hashOf(""), proxy+"/v1/things").CombinedOutput()
	if err != nil || string(out) != "alice GET /v1/things " {
		t.Errorf("curl: %v, %s", err, out)
	}
}

// The SDK's client of S3 is a caller, too: its paths are escaped once.
func TestS3ClientBehindNginx(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "trusted_proxies = [\"127.0.0.1\"]\n  forwarded = \"x-original\"", signedConfig)
	d.Principal("objects", "alice", "reader")
	keys := d.accessKey("objects", "alice")
	proxy := signedProxy(t, d, "objects", service(t).URL)
	client := func(k sdkaws.Credentials) *s3.Client {
		return s3.New(s3.Options{
			Region: "eu-west-1", BaseEndpoint: sdkaws.String(proxy), UsePathStyle: true, RetryMaxAttempts: 1,
			RequestChecksumCalculation: sdkaws.RequestChecksumCalculationWhenRequired,
			Credentials:                credentials.StaticCredentialsProvider{Value: k},
		})
	}
	key := "a dir/ä+b:c//d"
	got, err := client(keys).GetObject(t.Context(), &s3.GetObjectInput{Bucket: sdkaws.String("lake"), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(got.Body)
	_ = got.Body.Close()
	if path, _, _ := strings.Cut(strings.TrimPrefix(string(raw), "alice GET "), "?"); err != nil || !strings.HasPrefix(path, "/lake/a%20dir/") {
		t.Errorf("%q, %v", raw, err)
	} else if plain, err := url.PathUnescape(path); err != nil || plain != "/lake/"+key {
		t.Errorf("%q, %v", path, err)
	}
	if _, err := client(keys).PutObject(t.Context(), &s3.PutObjectInput{Bucket: sdkaws.String("lake"), Key: &key, Body: strings.NewReader("abc")}); err != nil {
		t.Error(err)
	}
	keys.SecretAccessKey += "x"
	if _, err := client(keys).GetObject(t.Context(), &s3.GetObjectInput{Bucket: sdkaws.String("lake"), Key: &key}); err == nil {
		t.Error("another secret is good")
	}
}
