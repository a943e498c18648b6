package transit

import (
	"context"
	_ "crypto/sha512" // SHA-384
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/accesstoken"
	"github.com/realmgate/realmgate/sdk/verified"
)

// keysFor is how long published keys may be kept at most.
const keysFor = 5 * time.Minute

// Broker is a token broker whose key is in a transit engine.
type Broker struct {
	settings Settings
	realm    accesstoken.Realm
	session  *login.Lease
	ring     *ring
	verified *verified.Memory
}

// New gives the constructor of a [Broker] whose sessions come from a pool. The server is asked when the first token comes or
// is wanted.
func New(p *login.Pool) sdk.New[Settings, *Broker] {
	return func(ctx context.Context, setup sdk.Setup, s Settings) (*Broker, error) {
		realm, realmErr := accesstoken.ForRealm(setup, s.MaxGeneration)
		session, err := p.Open(ctx, s.Server, s.Choice)
		known, knownErr := verified.New(ctx, s.VerifiedTokens)
		if err := errors.Join(err, realmErr, s.check(), sdk.At(knownErr, "verified_tokens")); err != nil {
			if session != nil {
				session.Close()
			}
			return nil, err
		}
		b := &Broker{settings: s, realm: realm, session: session, verified: known}
		b.ring = newRing(b.read, s.Refresh.Std(), s.MaxStale.Std())
		return b, nil
	}
}

// Close ends what is under way, and gives the session back.
func (b *Broker) Close() error {
	b.ring.close()
	b.session.Close()
	return nil
}

func (b *Broker) path(what string) string {
	return b.settings.Mount + "/" + what + "/" + b.settings.Key
}

// read asks the server for the versions of the key.
func (b *Broker) read(ctx context.Context) (*versions, error) {
	out, err := b.session.Do(ctx, client.Request{Method: http.MethodGet, Path: b.path("keys")})
	switch {
	case client.Status(err) == http.StatusNotFound:
		return nil, unusable{fmt.Errorf("there is no key %s", b.path("keys"))}
	case err != nil:
		return nil, explain(err, "read", b.path("keys"))
	case out.Secret == nil:
		return nil, fmt.Errorf("the server says nothing of the key %s", b.path("keys"))
	}
	v, err := parse(out.Data, b.settings.Algorithm)
	if err != nil {
		return nil, unusable{fmt.Errorf("%s: %w", b.path("keys"), err)}
	}
	return v, nil
}

// explain says which right is missing where the server denies.
func explain(err error, capability, path string) error {
	if client.Denied(err) {
		return fmt.Errorf("the policies of the broker's token do not give %q on %s: %w", capability, path, err)
	}
	return err
}

// Issue makes a token for the grant, with a signature of the server.
func (b *Broker) Issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	c, err := b.realm.Claims(g, time.Now(), time.Time{})
	if err != nil {
		return sdk.Token{}, err
	}
	v, err := b.ring.current(ctx)
	if err != nil {
		return sdk.Token{}, err
	}
	t, err := b.signWith(ctx, v, c)
	if !contradicts(err) {
		return t, err
	}
	fresh, readErr := b.ring.instead(ctx, v)
	switch {
	case readErr != nil:
		return sdk.Token{}, readErr
	case fresh == v:
		return t, err
	}
	return b.signWith(ctx, fresh, c)
}

// Check reads the key, and has something signed that is no token.
func (b *Broker) Check(ctx context.Context) error {
	v, err := b.ring.current(ctx)
	if err != nil {
		return err
	}
	k, err := b.signer(v)
	if err == nil {
		_, err = b.sign(ctx, v.algorithm, k, "can this key sign?")
	}
	return err
}

// mismatch is a signature that is not what it should be by the versions that are known.
type mismatch struct{ error }

// contradicts says whether the server's key may be another one than the known versions are of: it signs with that version no more,
// or was made anew or restored under its name. The words for that are many, so each no of the server itself may mean it.
func contradicts(err error) bool {
	f := client.As(err)
	return errors.As(err, &mismatch{}) || f != nil && f.Answered()
}

func (b *Broker) signWith(ctx context.Context, v *versions, c accesstoken.Claims) (sdk.Token, error) {
	k, err := b.signer(v)
	if err != nil {
		return sdk.Token{}, err
	}
	return accesstoken.Sign(c, v.algorithm, k.id, func(signed string) ([]byte, error) { return b.sign(ctx, v.algorithm, k, signed) })
}

func (b *Broker) signer(v *versions) (version, error) {
	k, ok := v.signer(time.Now(), b.settings.PublishAhead.Std())
	if !ok {
		return version{}, errors.New("the key has no version that signs: min_encryption_version is above all of them")
	}
	return k, nil
}

// sign has the server sign with one version, and believes the signature only if it is that version's.
func (b *Broker) sign(ctx context.Context, name string, k version, signed string) ([]byte, error) {
	a := algorithms[name]
	input := []byte(signed)
	if a.hash != 0 {
		h := a.hash.New()
		h.Write(input)
		input = h.Sum(nil)
	}
	body := map[string]any{"input": base64.StdEncoding.EncodeToString(input), "key_version": k.number, "marshaling_algorithm": "jws"}
	maps.Copy(body, a.ask)
	out, err := b.session.Do(ctx, client.Request{Method: http.MethodPost, Path: b.path("sign"), Body: body})
	if err != nil {
		return nil, explain(err, "update", b.path("sign"))
	}
	var text string
	if out.Secret != nil {
		text, _ = out.Data["signature"].(string)
	}
	text, ok := strings.CutPrefix(text, "vault:v"+strconv.Itoa(k.number)+":")
	if !ok {
		return nil, mismatch{fmt.Errorf("the server was asked to sign with version %d of the key, and answers something else", k.number)}
	}
	signature, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the server's signature is not in base64url")
	}
	if a.method.Verify(signed, signature, k.public) != nil {
		return nil, mismatch{fmt.Errorf("the server's signature is not one of version %d of the key", k.number)}
	}
	return signature, nil
}

// Verify recognises the broker's own tokens. What is not a bearer token, not a JWT, or a JWT of another issuer is
// sdk.NotMine. Everything else is final: signature_invalid, token_expired, realm_mismatch, audience_mismatch,
// algorithm_not_allowed, type_not_allowed, key_unknown, token_malformed. The server is asked only for what is not known. A key id
// that is not known is left open while the server does not answer, and while it is not asked any more about such ids if the token
// may be newer than what is known.
func (b *Broker) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	t, err := b.realm.Parse(r, b.mayBe)
	if err != nil {
		return sdk.Credential{}, err
	}
	v, k, err := b.ring.find(ctx, t.KeyID, time.Unix(t.Claims.IssuedAt, 0))
	switch {
	case errors.Is(err, errUnknown):
		sdk.NoCache(ctx)
		return sdk.Credential{}, sdk.Deny("key_unknown", "the token is signed with a key that this realm does not have")
	case err != nil:
		return sdk.Credential{}, err
	}
	if t.Algorithm != v.algorithm {
		return sdk.Credential{}, sdk.Deny("algorithm_not_allowed", "the token is not signed with the algorithm of its key")
	}
	whole := verified.Token{Realm: r.Realm, Keys: k.id, Text: r.Token, Now: time.Now(), Expires: time.Unix(t.Claims.Expires, 0)}
	if !b.verified.Verify(ctx, whole, func() bool { return algorithms[v.algorithm].method.Verify(t.Signed, t.Signature, k.public) == nil }) {
		return sdk.Credential{}, sdk.Deny("signature_invalid", "the signature of the token is not valid")
	}
	sdk.CacheFor(ctx, max(time.Until(v.asked.Add(b.settings.Refresh.Std())), time.Second)) // a version may be ruled out then
	return b.realm.Credential(t.Claims, time.Now())
}

// mayBe looks at an algorithm before any key is known.
func (b *Broker) mayBe(name string) bool {
	if b.settings.Algorithm != "" {
		return name == b.settings.Algorithm
	}
	return algorithms[name].method != nil
}

// Keys gives all versions that verify as a JWK set (RFC 7517 section 5), to be kept for half of publish_ahead, at most five
// minutes.
func (b *Broker) Keys(ctx context.Context) ([]byte, time.Time, error) {
	v, err := b.ring.current(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	raw, err := v.jwks()
	return raw, time.Now().Add(min(keysFor, b.settings.PublishAhead.Std()/2)), err
}
