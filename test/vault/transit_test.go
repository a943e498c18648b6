package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/default/broker"
	"github.com/realmgate/realmgate/plugins/vault/transit"
	"github.com/realmgate/realmgate/sdk"
)

var realm1 = sdk.Setup{Realm: "realm1", Issuer: "https://auth.example.com/realms/realm1", Audience: []string{"realmgate:realm1"}}

func grant() sdk.Grant {
	return sdk.Grant{
		Principal: sdk.PrincipalRef{ID: "17", Name: "alice"}, ClientID: "client", Scope: []string{"PRINCIPAL_ROLE:a"}, Realm: realm1.Realm, Issuer: realm1.Issuer,
		Audience: realm1.Audience, Lifetime: 10 * time.Minute, TokenID: "token-1", AuthTime: time.Unix(1700000000, 0), SecretVersion: "3",
	}
}

func bearer(token string) sdk.Request {
	return sdk.Request{Realm: "realm1", Scheme: "bearer", Token: token}
}

func reason(err error) string {
	if d := sdk.AsDenial(err); d != nil {
		return d.Reason
	}
	if err != nil {
		return "unavailable"
	}
	return ""
}

func (w *world) newBroker(t testing.TB, s settings) *transit.Broker {
	t.Helper()
	delete(s, "max_age")
	var decoded transit.Settings
	if err := sdk.Decode(s.json(t), &decoded); err != nil {
		t.Fatal(err)
	}
	b, err := transit.New(w.pool)(w.ctx, realm1, decoded)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// transitWorld is a server with a transit engine, and a policy that signs and reads keys.
func transitWorld(t testing.TB, s *vaulttest.Server) *world {
	t.Helper()
	w := newWorld(t, s)
	w.Do(t, http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"})
	w.Policy(t, "signer", "path \"transit/keys/*\" { capabilities = [\"read\"] }\npath \"transit/sign/*\" { capabilities = [\"update\"] }")
	w.host.set("signer", w.NewToken(t, map[string]any{"policies": []string{"signer"}, "ttl": "1h"}))
	return w
}

func (w *world) newKey(t testing.TB, name, typ string) {
	t.Helper()
	w.Do(t, http.MethodPost, "transit/keys/"+name, map[string]any{"type": typ})
}

func (w *world) rotate(t testing.TB, name string) {
	t.Helper()
	w.Do(t, http.MethodPost, "transit/keys/"+name+"/rotate", nil)
}

func (w *world) signing(key string, more settings) settings {
	return w.base().with(settings{"token": "urn:realmgate-secret:ops:signer", "key": key}).with(more)
}

// outsider verifies tokens as somebody else would, with the keys that a broker publishes and another library.
type outsider struct {
	b     *transit.Broker
	set   jose.JSONWebKeySet
	until time.Time
}

func (o *outsider) verify(ctx context.Context, token string) error {
	if !time.Now().Before(o.until) {
		raw, until, err := o.b.Keys(ctx)
		if err != nil {
			return err
		}
		o.set, o.until = jose.JSONWebKeySet{}, until
		if err := json.Unmarshal(raw, &o.set); err != nil {
			return err
		}
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA})
	if err != nil {
		return err
	}
	return parsed.Claims(o.set, &map[string]any{})
}

func kid(t testing.TB, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

func TestTransitAlgorithms(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	for algorithm, typ := range map[string]string{"RS256": "rsa-2048", "PS256": "rsa-3072", "ES256": "ecdsa-p256", "ES384": "ecdsa-p384", "EdDSA": "ed25519"} {
		w.newKey(t, algorithm, typ)
		b := w.newBroker(t, w.signing(algorithm, settings{"algorithm": algorithm}))
		token, err := b.Issue(w.ctx, grant())
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		c, err := b.Verify(w.ctx, bearer(token.Value))
		if err != nil || c.Principal != (sdk.PrincipalRef{ID: "17", Name: "alice"}) || c.TokenID != "token-1" || c.SecretVersion != "3" || !c.Expires.Equal(token.Expires) {
			t.Errorf("%s: %+v %v", algorithm, c, err)
		}
		if err := (&outsider{b: b}).verify(w.ctx, token.Value); err != nil {
			t.Errorf("%s: somebody else says: %v", algorithm, err)
		}
		keys, _, err := b.Keys(w.ctx)
		if err != nil || bytes.Contains(keys, []byte(`"d"`)) || !bytes.Contains(keys, []byte(`"alg":"`+algorithm+`"`)) || !bytes.Contains(keys, []byte(kid(t, token.Value))) {
			t.Errorf("%s: %s %v", algorithm, keys, err)
		}
	}
}

// What is in a token is the same whichever broker makes it.
func TestTransitClaims(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ecdsa-p256")
	local, err := (&broker.Ephemeral{}).NewKeyPair(w.ctx, realm1, broker.KeyPairSettings{MaxGeneration: sdk.Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var parts [2]map[string]any
	for i, b := range []sdk.TokenBroker{w.newBroker(t, w.signing("k", nil)), local} {
		token, err := b.Issue(w.ctx, grant())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Value, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &parts[i]); err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{"iat", "exp"} {
			if parts[i][at].(float64) < 1e9 {
				t.Errorf("%s is %v", at, parts[i][at])
			}
			delete(parts[i], at)
		}
	}
	if !reflect.DeepEqual(parts[0], parts[1]) {
		t.Errorf("%v\n%v", parts[0], parts[1])
	}
}

// Two nodes and somebody else, who keeps published keys for as long as he may, see no token refused while the key is rotated in
// the server.
func TestRotationInTheServerRefusesNoToken(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ecdsa-p256")
	s := w.signing("k", settings{"publish_ahead": "PT2S", "refresh": "PT0.3S"})
	nodes := []*transit.Broker{w.newBroker(t, s), w.newBroker(t, s)}
	outside := []*outsider{{b: nodes[0]}, {b: nodes[1]}}
	signers := map[string]bool{}
	var kept []string
	last := time.Now()
	for n, end := 0, time.Now().Add(8*time.Second); time.Now().Before(end); n++ {
		if n > 0 && time.Since(last) > 2500*time.Millisecond {
			w.rotate(t, "k")
			last = time.Now()
		}
		token, err := nodes[n%2].Issue(w.ctx, grant())
		if err != nil {
			t.Fatal(err)
		}
		signers[kid(t, token.Value)] = true
		if n%50 == 0 {
			kept = append(kept, token.Value)
		}
		for i, b := range nodes {
			if _, err := b.Verify(w.ctx, bearer(token.Value)); err != nil {
				t.Fatalf("node %d refuses a token: %v", i, err)
			}
			if err := outside[i].verify(w.ctx, token.Value); err != nil {
				t.Fatalf("somebody else refuses a token: %v", err)
			}
		}
	}
	if len(signers) < 3 {
		t.Errorf("%d versions signed", len(signers))
	}
	for _, token := range kept {
		if _, err := nodes[0].Verify(w.ctx, bearer(token)); err != nil {
			t.Errorf("an older token is refused: %v", err)
		}
	}
}

// What the server rules out is refused, and what it does not sign with any more is not asked for.
func TestLeastVersions(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ed25519")
	b := w.newBroker(t, w.signing("k", settings{"publish_ahead": "PT1H", "refresh": "PT0.2S"}))
	first, err := b.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	w.rotate(t, "k")
	w.Do(t, http.MethodPost, "transit/keys/k/config", map[string]any{"min_encryption_version": 2})
	second, err := b.Issue(w.ctx, grant()) // whatever publish_ahead says: there is no other
	if err != nil {
		t.Fatal(err)
	}
	if kid(t, second.Value) == kid(t, first.Value) {
		t.Fatal("it is signed with the same version")
	}
	for _, token := range []string{first.Value, second.Value} {
		if _, err := b.Verify(w.ctx, bearer(token)); err != nil {
			t.Error(err)
		}
	}
	w.Do(t, http.MethodPost, "transit/keys/k/config", map[string]any{"min_decryption_version": 2})
	eventually(t, "a version that is ruled out is refused", func() bool {
		_, err := b.Verify(w.ctx, bearer(first.Value))
		return reason(err) == "key_unknown"
	})
	if _, err := b.Verify(w.ctx, bearer(second.Value)); err != nil {
		t.Error(err)
	}
	if keys, _, err := b.Keys(w.ctx); err != nil || bytes.Contains(keys, []byte(kid(t, first.Value))) {
		t.Errorf("%s %v", keys, err)
	}
}

// What the server says counts at once; that it says nothing, up to max_stale only.
func TestTransitKeyThatIsGone(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Start(t))
	brokers, tokens := map[string]*transit.Broker{}, map[string]string{}
	for key, stale := range map[string]string{"deleted": "PT1H", "unheard": "PT0.5S"} {
		w.newKey(t, key, "ecdsa-p256")
		brokers[key] = w.newBroker(t, w.signing(key, settings{"refresh": "PT0.1S", "publish_ahead": "PT1S", "max_stale": stale, "timeout": "PT0.5S", "max_retries": 0}))
		token, err := brokers[key].Issue(w.ctx, grant())
		if err != nil {
			t.Fatal(err)
		}
		tokens[key] = token.Value
	}
	ended := func(key string) func() bool {
		return func() bool {
			_, err := brokers[key].Verify(w.ctx, bearer(tokens[key]))
			_, _, published := brokers[key].Keys(w.ctx)
			return reason(err) == "unavailable" && published != nil
		}
	}
	w.Do(t, http.MethodPost, "transit/keys/deleted/config", map[string]any{"deletion_allowed": true})
	w.Do(t, http.MethodDelete, "transit/keys/deleted", nil)
	eventually(t, "a deleted key ends its tokens", ended("deleted"))
	if ended("unheard")() {
		t.Error("another key of the server ended with it")
	}
	w.Seal(t)
	eventually(t, "what is known gets too old", ended("unheard"))
	w.Unseal(t)
	eventually(t, "it recovers by itself", func() bool {
		_, err := brokers["unheard"].Verify(w.ctx, bearer(tokens["unheard"]))
		return err == nil
	})
}

// Tokens are verified while the server is sealed, away, or forbids everything; none is issued, and nobody is denied for that.
func TestTransitWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Start(t))
	w.newKey(t, "k", "ecdsa-p256")
	short := settings{"refresh": "PT0.1S", "publish_ahead": "PT1S", "timeout": "PT0.5S", "max_retries": 0}
	b := w.newBroker(t, w.signing("k", short))
	token, err := b.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	stranger := w.newBroker(t, w.signing("k", short)) // has never been answered
	away := func(what string) {
		t.Helper()
		time.Sleep(150 * time.Millisecond) // the versions are due
		if _, err := b.Verify(w.ctx, bearer(token.Value)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, _, err := b.Keys(w.ctx); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := b.Issue(w.ctx, grant()); err == nil || sdk.AsDenial(err) != nil || strings.Contains(err.Error(), "vault-transit") {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := stranger.Verify(w.ctx, bearer(token.Value)); reason(err) != "unavailable" {
			t.Errorf("%s: a broker that knows no key yet: %v", what, err)
		}
		if _, err := stranger.Verify(w.ctx, bearer("opaque")); reason(err) != "not_mine" {
			t.Errorf("%s: %v", what, err)
		}
		forged := strings.Replace(token.Value, strings.Split(token.Value, ".")[0], base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"new"}`)), 1)
		if _, err := b.Verify(w.ctx, bearer(forged)); reason(err) != "unavailable" {
			t.Errorf("%s: a key that may be new: %v", what, err)
		}
	}
	w.Seal(t)
	away("sealed")
	w.Stop()
	away("gone")
	w.Resume(t)
	w.Unseal(t)
	for _, b := range []*transit.Broker{b, stranger} {
		eventually(t, "it recovers by itself", func() bool {
			x, err := b.Issue(w.ctx, grant())
			if err != nil {
				return false
			}
			_, err = stranger.Verify(w.ctx, bearer(x.Value))
			return err == nil
		})
	}
	w.Policy(t, "signer", `path "transit/none" { capabilities = ["read"] }`)
	away2, err := w.newBroker(t, w.signing("k", short.with(settings{"max_retries": 1}))).Issue(w.ctx, grant())
	if err == nil || !strings.Contains(err.Error(), `do not give "read" on transit/keys/k: the server answers 403: permission denied`) || away2.Value != "" {
		t.Errorf("without a policy: %v", err)
	}
	if _, err := b.Verify(w.ctx, bearer(token.Value)); err != nil {
		t.Errorf("without a policy: %v", err)
	}
}

// What is wrong with a token of ours is final, and another's is not ours.
func TestTransitRefuses(t *testing.T) {
	t.Parallel()
	w := transitWorld(t, vaulttest.Dev(t))
	w.newKey(t, "k", "ecdsa-p256")
	b := w.newBroker(t, w.signing("k", nil))
	token, err := b.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token.Value, ".")
	id := kid(t, token.Value)
	with := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
	}
	local, err := (&broker.Ephemeral{}).NewKeyPair(w.ctx, realm1, broker.KeyPairSettings{MaxGeneration: sdk.Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := local.Issue(w.ctx, grant())
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct{ token, want string }{
		"good":              {token.Value, ""},
		"opaque":            {"x", "not_mine"},
		"another key":       {foreign.Value, "key_unknown"},
		"none":              {with(`{"alg":"none","typ":"at+jwt","kid":"` + id + `"}`), "algorithm_not_allowed"},
		"HMAC":              {with(`{"alg":"HS256","typ":"at+jwt","kid":"` + id + `"}`), "algorithm_not_allowed"},
		"another algorithm": {with(`{"alg":"EdDSA","typ":"at+jwt","kid":"` + id + `"}`), "algorithm_not_allowed"},
		"another header":    {with(`{"alg":"ES256","typ":"at+jwt","kid":"` + id + `","x":1}`), "signature_invalid"},
		"no kid":            {with(`{"alg":"ES256","typ":"at+jwt"}`), "key_unknown"},
		"another type":      {with(`{"alg":"ES256","typ":"JWT","kid":"` + id + `"}`), "type_not_allowed"},
	} {
		if _, err := b.Verify(w.ctx, bearer(x.token)); reason(err) != x.want {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
	g := grant()
	g.Realm = "realm2"
	if _, err := b.Issue(w.ctx, g); err == nil || sdk.AsDenial(err) != nil {
		t.Errorf("a grant of another realm: %v", err)
	}
}
