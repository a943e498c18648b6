package transit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

// fake is a server with a transit key of the type ed25519, which says no in words that nobody knows.
type fake struct {
	*httptest.Server

	mu       sync.Mutex
	versions []ed25519.PrivateKey
	fault    int // status with which nothing is signed; 0: it is
	body     string
	reads    int
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); path {
		case "auth/approle/login":
			fmt.Fprint(w, `{"request_id":"r","auth":{"client_token":"t","lease_duration":3600,"policies":["default"]}}`)
		case "transit/keys/k":
			f.reads++
			var all []string
			for _, k := range f.versions {
				all = append(all, base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey)))
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"request_id": "r", "data": key("ed25519", 1, all...)})
		case "transit/sign/k":
			f.sign(w, r)
		default:
			fmt.Fprint(w, `{"request_id":"r","data":{}}`)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) sign(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Input   []byte `json:"input"`
		Version int    `json:"key_version"`
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	status, body := f.fault, f.body
	if q.Version > len(f.versions) {
		status, body = http.StatusInternalServerError, `{"errors":["that is beyond us"]}`
	}
	if status != 0 {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return
	}
	signature := base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.versions[q.Version-1], q.Input))
	fmt.Fprintf(w, `{"request_id":"r","data":{"signature":"vault:v%d:%s"}}`, q.Version, signature)
}

// remake has the key be another one, of so many versions.
func (f *fake) remake(versions int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions = nil
	for range versions {
		_, k, _ := ed25519.GenerateKey(rand.Reader)
		f.versions = append(f.versions, k)
	}
}

func (f *fake) refuse(status int, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.body, f.reads = status, body, 0
}

func (f *fake) open(t *testing.T) *Broker {
	t.Helper()
	raw := fmt.Sprintf(`{"address":%q,"max_retries":0,"key":"k","approle":{"role_id":"r"}}`, f.URL)
	var s Settings
	if err := sdk.Decode([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	b, err := New(&login.Pool{})(t.Context(), sdk.Setup{Realm: "r", Issuer: "https://auth.example.com/realms/r", Audience: []string{"a"}}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *Broker) issue(t *testing.T) error {
	t.Helper()
	_, err := b.Issue(t.Context(), sdk.Grant{Principal: sdk.PrincipalRef{ID: "1"}, Realm: "r", Issuer: "https://auth.example.com/realms/r"})
	return err
}

// A rotated key that is made anew does not have the version any more that is to sign: it is found out, whatever the words.
func TestRotatedKeyMadeAnew(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.remake(3)
	b := f.open(t)
	if err := b.issue(t); err != nil {
		t.Fatal(err)
	}
	f.remake(1)
	if err := b.issue(t); err != nil || f.reads != 2 {
		t.Errorf("after %d readings: %v", f.reads, err)
	}
}

// What the server itself says no to has the versions read again, so often and no more; what says nothing of the key does not.
func TestNoToASignature(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		status int
		body   string
		reads  int
	}{
		"an error of the engine":  {500, `{"errors":["x"]}`, doubtBurst},
		"a request that is wrong": {400, `{"errors":["x"]}`, doubtBurst},
		"not allowed":             {403, `{"errors":["permission denied"]}`, doubtBurst},
		"sealed":                  {503, `{"errors":["Vault is sealed"]}`, 0},
		"a quota":                 {429, `{"errors":["request path \"x\": rate limit quota exceeded"]}`, 0},
		"a standby":               {500, `{"errors":["local node not active but active cluster node not found"]}`, 0},
		"a state that is to come": {412, `{"errors":["required index state not present"]}`, 0},
		"a proxy's page":          {500, `<html>`, 0},
		"a proxy's no":            {403, `<html>`, 0},
	} {
		f := newFake(t)
		f.remake(1)
		b := f.open(t)
		if err := b.issue(t); err != nil {
			t.Fatal(err)
		}
		f.refuse(x.status, x.body)
		for range 10 {
			if err := b.issue(t); err == nil || sdk.AsDenial(err) != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if f.reads != x.reads {
			t.Errorf("%s: %d readings, want %d", what, f.reads, x.reads)
		}
	}
}

// A broker can do its work if its key can be read and signs.
func TestCheck(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	b := f.open(t)
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "transit/keys/k: the key has no version that may be used") {
		t.Errorf("no version: %v", err)
	}
	f.remake(1)
	b = f.open(t)
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	f.refuse(http.StatusForbidden, `{"errors":["permission denied"]}`)
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), `do not give "update" on transit/sign/k`) {
		t.Errorf("it may not sign: %v", err)
	}
}
