package vault

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/client"
)

// podToken gives the token of a pod's service account. The API server of its cluster is what the Vault server asks about it; this one
// knows no other. The role is gate.
func (w *world) podToken(t *testing.T) string {
	t.Helper()
	key, _ := newSigner(t)
	token := signJWT(t, key, jwt.MapClaims{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:gate:realmgate", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": "gate", "serviceaccount": map[string]any{"name": "realmgate", "uid": "u-1"}},
	})
	cluster := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var review struct {
			Spec struct{ Token string }
		}
		_ = json.NewDecoder(r.Body).Decode(&review)
		known := r.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews" && review.Spec.Token == token
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusCreated)
		fmt.Fprintf(rw, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":%t,"user":{"username":"system:serviceaccount:gate:realmgate","uid":"u-1"}}}`, known)
	}))
	t.Cleanup(cluster.Close)
	w.Do(t, http.MethodPost, "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	w.Do(t, http.MethodPost, "auth/kubernetes/config", map[string]any{"kubernetes_host": cluster.URL, "kubernetes_ca_cert": vaulttest.NewAuthority(t).CA, "token_reviewer_jwt": token})
	w.Do(t, http.MethodPost, "auth/kubernetes/role/gate", map[string]any{
		"bound_service_account_names": "realmgate", "bound_service_account_namespaces": "gate", "token_policies": "p", "token_ttl": "1h",
	})
	return token
}

func TestKubernetesLogin(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	token := w.podToken(t)
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o644); err != nil {
		t.Fatal(err)
	}
	l := w.open(t, w.base().with(settings{"kubernetes": settings{"role": "gate", "token_file": path}}))
	if _, name := w.whoami(t, l); !strings.Contains(name, "gate-realmgate") {
		t.Error(name)
	}
}

// The login by TLS certificate, over a server as it is run for real, which the client knows by a private authority.
func TestCertLogin(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Start(t))
	w.Do(t, http.MethodPost, "sys/auth/cert", map[string]any{"type": "cert"})
	w.Do(t, http.MethodPost, "auth/cert/certs/gate", map[string]any{"certificate": w.CA, "allowed_common_names": "realmgate", "token_policies": "p", "token_ttl": "1h"})
	cert, key := w.ClientCertificate(t, "realmgate")
	s := w.base().with(settings{"client_cert_file": cert, "client_key_file": key, "cert": settings{"name": "gate"}})
	if _, name := w.whoami(t, w.open(t, s)); name != "cert-gate" {
		t.Error(name)
	}
	// Another one that takes the place of the first in its files is used from the next question on, also by a login.
	other, otherKey := w.ClientCertificate(t, "mallory")
	dir := t.TempDir()
	place := func(cert, key string) {
		t.Helper()
		for from, to := range map[string]string{cert: "client.pem", key: "client.key"} {
			raw, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, to), raw, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	place(cert, key)
	l := w.open(t, s.with(settings{"client_cert_file": filepath.Join(dir, "client.pem"), "client_key_file": filepath.Join(dir, "client.key")}))
	accessor, _ := w.whoami(t, l)
	place(other, otherKey)
	w.Do(t, http.MethodPost, "auth/token/revoke-accessor", map[string]any{"accessor": accessor})
	eventually(t, "another name is refused", func() bool {
		_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"})
		return err != nil && strings.Contains(err.Error(), "the login with the client certificate")
	})
	place(cert, key)
	eventually(t, "the first one is back", func() bool {
		_, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "auth/token/lookup-self"})
		return err == nil
	})
	// One that replaces another has a token of its own before anything is wrong with the former: that is not renewed over it.
	accessor, _ = w.whoami(t, l)
	place(w.ClientCertificate(t, "realmgate"))
	eventually(t, "a login with the new certificate", func() bool { now, _ := w.whoami(t, l); return now != accessor })
}

// The STS that the Vault server asks is one of the test: it recomputes the signature and knows one key.
func TestAWSLogin(t *testing.T) {
	t.Parallel()
	w := logins(t, vaulttest.Dev(t))
	sts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := verifySigV4(r); err != nil {
			t.Log(err)
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		rw.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(rw, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>arn:aws:iam::123456789012:user/realmgate</Arn><UserId>AIDAEXAMPLE</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(sts.Close)
	w.Do(t, http.MethodPost, "sys/auth/aws", map[string]any{"type": "aws"})
	w.Do(t, http.MethodPost, "auth/aws/config/client", map[string]any{"sts_endpoint": sts.URL, "sts_region": "us-east-1", "iam_server_id_header_value": "vault.example.com"})
	w.Do(t, http.MethodPost, "auth/aws/role/gate", map[string]any{
		"auth_type": "iam", "bound_iam_principal_arn": "arn:aws:iam::123456789012:user/realmgate", "resolve_aws_unique_ids": false, "token_policies": "p", "token_ttl": "1h",
	})
	w.host.set("aws", `{"access_key_id":"AKIDGATE","secret_access_key":"gate-secret"}`)
	w.host.set("wrong", `{"access_key_id":"AKIDGATE","secret_access_key":"hunter2"}`)
	host := strings.TrimPrefix(sts.URL, "http://")
	iam := settings{"role": "gate", "server_id": "vault.example.com", "sts_host": host, "credentials": "urn:realmgate-secret:ops:aws"}
	if _, name := w.whoami(t, w.open(t, w.base().with(settings{"aws": iam}))); !strings.Contains(name, "realmgate") {
		t.Error(name)
	}
	for what, change := range map[string]settings{"another server": {"server_id": "other.example.com"}, "another key": {"credentials": "urn:realmgate-secret:ops:wrong"}} {
		l := w.open(t, w.base().with(settings{"aws": iam.with(change)}))
		if _, err := l.Do(w.ctx, client.Request{Method: http.MethodGet, Path: "kv/x"}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// verifySigV4 signs the request again as the one who has the key would.
func verifySigV4(r *http.Request) error {
	got := r.Header.Get("Authorization")
	_, list, _ := strings.Cut(got, "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	again, err := http.NewRequest(r.Method, "https://"+r.Host+"/", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	for _, name := range strings.Split(list, ";") {
		if name != "host" && name != "content-length" && name != "x-amz-date" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	if err := v4.NewSigner().SignHTTP(r.Context(), aws.Credentials{AccessKeyID: "AKIDGATE", SecretAccessKey: "gate-secret"}, again, sha256hex(body), "sts", "us-east-1", at); err != nil {
		return err
	}
	if again.Header.Get("Authorization") != got || !strings.Contains(list, "x-vault-aws-iam-server-id") {
		return fmt.Errorf("the signature is not that of the key: %s", list)
	}
	return nil
}
