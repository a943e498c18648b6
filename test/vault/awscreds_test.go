package vault

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/realmgate/realmgate/internal/miniotest"
	"github.com/realmgate/realmgate/internal/vaulttest"
)

// s3 asks MinIO with keys and gives the status of the answer.
func s3(t *testing.T, m *miniotest.Server, keys aws.Credentials, method, path string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, m.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256hex(nil)
	r.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hash, "s3", miniotest.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// sts stands before MinIO and answers the one question of the aws engine that MinIO does not know: who asks. All else, as it was
// signed, is MinIO's to answer.
func sts(t *testing.T, m *miniotest.Server) string {
	t.Helper()
	target, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		if err != nil {
			http.Error(rw, "the question cannot be read", http.StatusBadRequest)
			return
		}
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") == "GetCallerIdentity" {
			_, _ = io.WriteString(rw, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
				`<Arn>arn:aws:iam::123456789012:user/vault</Arn><UserId>AIDAEXAMPLE</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Keys that the server's aws engine gets for a role at STS are of one lease, and open what the role may.
func TestAWSCreds(t *testing.T) {
	t.Parallel()
	w, m := newWorld(t, vaulttest.Dev(t)), miniotest.Start(t)
	endpoint := sts(t, m)
	root := aws.Credentials{AccessKeyID: m.AccessKey, SecretAccessKey: m.SecretKey}
	for _, bucket := range []string{"/lake", "/vault"} {
		if status, text := s3(t, m, root, http.MethodPut, bucket); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
	}
	w.Do(t, http.MethodPost, "sys/mounts/aws", map[string]any{"type": "aws"})
	w.Do(t, http.MethodPost, "aws/config/root", map[string]any{
		"access_key": m.AccessKey, "secret_key": m.SecretKey, "region": miniotest.Region, "iam_endpoint": endpoint, "sts_endpoint": endpoint, "sts_region": miniotest.Region,
	})
	w.Do(t, http.MethodPost, "aws/roles/realmgate", map[string]any{
		"credential_type": "assumed_role", "role_arns": []string{"arn:aws:iam::123456789012:role/realmgate"}, "default_sts_ttl": "15m", "max_sts_ttl": "1h",
		"policy_document": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::lake","arn:aws:s3:::lake/*"]}]}`,
	})
	w.Policy(t, "keys", `path "aws/creds/realmgate" { capabilities = ["read"] }`)
	w.host.set("keys", w.NewToken(t, map[string]any{"policies": []string{"keys"}, "no_default_policy": true, "ttl": "1h"}))
	st := w.newStore(t, w.base().with(settings{"token": "urn:realmgate-secret:ops:keys", "max_age": "PT1M"}))

	s, err := st.Resolve(w.ctx, ref("s:aws/creds/realmgate"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(s.Reveal(), &got); err != nil {
		t.Fatal(err)
	}
	text := func(name string) string { v, _ := got[name].(string); return v }
	keys := aws.Credentials{AccessKeyID: text("access_key"), SecretAccessKey: text("secret_key"), SessionToken: text("security_token")}
	if keys.SessionToken == "" || keys.AccessKeyID == m.AccessKey {
		t.Fatalf("the fields are %d, and no temporary keys", len(got))
	}
	if left := time.Until(s.CacheUntil); left <= 50*time.Second || left > time.Minute {
		t.Errorf("they may be kept for %v", left)
	}
	if status, text := s3(t, m, keys, http.MethodGet, "/lake?list-type=2"); status != http.StatusOK {
		t.Errorf("what the role may: %d %s", status, text)
	}
	if status, _ := s3(t, m, keys, http.MethodGet, "/vault?list-type=2"); status != http.StatusForbidden {
		t.Errorf("what the role may not: %d", status)
	}
	for field, want := range map[string]string{"access_key": keys.AccessKeyID, "secret_key": keys.SecretAccessKey, "security_token": keys.SessionToken} {
		if w.read(t, st, "aws/creds/realmgate#"+field) != want {
			t.Errorf("%s is of other keys", field)
		}
	}
	w.Do(t, http.MethodPost, "aws/config/root", map[string]any{
		"access_key": m.AccessKey, "secret_key": "wrong-canary", "region": miniotest.Region, "iam_endpoint": endpoint, "sts_endpoint": endpoint, "sts_region": miniotest.Region,
	})
	other := w.newStore(t, w.asRoot())
	if _, err := other.Resolve(w.ctx, ref("s:aws/creds/realmgate")); err == nil || !strings.Contains(err.Error(), "the server answers ") || strings.Contains(err.Error(), "canary") {
		t.Errorf("where STS refuses the server: %v", err)
	}
}
