package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/accesstoken"
	"github.com/realmgate/realmgate/sdk/verified"
)

// broker issues and verifies tokens with the keys of a source, whatever kind they are.
type broker struct {
	realm    accesstoken.Realm
	kinds    kinds
	keys     source
	verified *verified.Memory // nil where a key verifies as fast as a memory is asked
	now      func() time.Time
}

// newBroker checks what the host says about the realm.
func newBroker(setup sdk.Setup, of kinds, most sdk.Duration, from source) (broker, error) {
	r, err := accesstoken.ForRealm(setup, most)
	return broker{realm: r, kinds: of, keys: from, now: time.Now}, err
}

// Issue makes a token for the grant. Its life is the grant's, at most max_token_generation, less the fraction of a second by
// which that ends later than a whole one. No token outlives the key that signs it. A grant for another realm, issuer or audience is an error.
func (b *broker) Issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	t, err := b.issue(ctx, g)
	if err != nil {
		return sdk.Token{}, fmt.Errorf("token broker: %w", err)
	}
	return t, nil
}

func (b *broker) issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	now := b.now()
	k := b.keys.current(ctx, now).signer
	c, err := b.realm.Claims(g, now, k.till)
	if err != nil {
		return sdk.Token{}, err
	}
	if k.sign == nil {
		return sdk.Token{}, errors.New("none of the realm's keys signs now")
	}
	return accesstoken.Sign(c, k.method.Alg(), k.id, func(signed string) ([]byte, error) { return k.method.Sign(signed, k.sign) })
}

// Verify recognises the broker's own tokens. What is not a bearer token, not a JWT, or a JWT of another issuer is
// sdk.NotMine. Everything else is final: signature_invalid, token_expired, realm_mismatch, audience_mismatch,
// algorithm_not_allowed, type_not_allowed, key_unknown, token_malformed.
func (b *broker) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	t, err := b.realm.Parse(r, func(algorithm string) bool { return b.kinds[algorithm] != nil })
	if err != nil {
		return sdk.Credential{}, err
	}
	if err := b.checkSignature(ctx, r, t); err != nil {
		return sdk.Credential{}, err
	}
	return b.realm.Credential(t.Claims, b.now())
}

// checkSignature uses a key with its own algorithm only, whatever the token says, so that a public key never serves as an
// HMAC secret (RFC 8725 section 3.1). A decision lives no longer than the key; that a key is not known may change at once.
func (b *broker) checkSignature(ctx context.Context, r sdk.Request, t accesstoken.Presented) error {
	now := b.now()
	if n := sdk.NotesOf(ctx); n != nil {
		n.Add("the token of the issuer %q is signed with the key %q (%s)", t.Claims.Issuer, t.KeyID, t.Algorithm)
	}
	k, ok := b.keys.current(ctx, now).byID(t.KeyID)
	if !ok {
		sdk.NoCache(ctx)
		return sdk.Deny("key_unknown", "the token is signed with a key that this realm does not have")
	}
	if t.Algorithm != k.method.Alg() {
		return sdk.Deny("algorithm_not_allowed", "the token is not signed with the algorithm of its key")
	}
	whole := verified.Token{Realm: r.Realm, Keys: k.id, Text: r.Token, Now: now, Expires: time.Unix(t.Claims.Expires, 0)}
	if !b.verified.Verify(ctx, whole, func() bool { return k.method.Verify(t.Signed, t.Signature, k.verify) == nil }) {
		return sdk.Deny("signature_invalid", "the signature of the token is not valid")
	}
	if !k.till.IsZero() {
		sdk.CacheFor(ctx, k.till.Sub(now))
	}
	return nil
}
