package awssigv4

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

// Scheme is the authentication scheme of signed requests, in lower case.
var Scheme = strings.ToLower(awssig.Algorithm)

// dummy is the secret of a key that does not exist. Its signatures are worth nothing.
const dummy = "0000000000000000000000000000000000000000"

// Provider verifies signed requests.
type Provider struct {
	settings Settings
	replays  *replays
	now      func() time.Time
}

// NewProvider checks the settings.
func NewProvider(ctx context.Context, setup sdk.Setup, s Settings) (*Provider, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.UnsignedPayload {
		sdk.Warn(ctx, sdk.At(errors.New("bodies that are not signed are accepted: whoever stands between caller and service can change them"), "unsigned_payload"))
	}
	if s.Roles == nil {
		s.Roles = []string{cmp.Or(setup.RolePrefix, "PRINCIPAL_ROLE:") + "ALL"}
	}
	p := &Provider{settings: s, now: time.Now}
	if s.ReplayCache > 0 {
		p.replays = &replays{limit: s.ReplayCache, used: map[[sha256.Size]byte]bool{}}
	}
	return p, nil
}

// Identify verifies the signature of the request that is being decided with the access key that it names; another scheme is
// sdk.NotMine.
//
// A request is denied for one of token_malformed, token_expired, token_not_yet_valid, scope_mismatch, header_not_signed,
// header_missing, payload_not_signed, payload_hash_missing, payload_mismatch, presigned_not_allowed,
// session_token_not_allowed, signature_invalid (also of a key that is not known), signature_replayed and, with 403,
// principal_disabled. The decision is never remembered: the next request with the same Authorization is another one.
func (p *Provider) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	sdk.NoCache(ctx)
	if r.Scheme != Scheme {
		return sdk.Identity{}, sdk.NotMine()
	}
	if r.HTTP == nil {
		return sdk.Identity{}, errors.New("the host does not say what the request was")
	}
	c, err := p.read(r)
	if err != nil {
		return sdk.Identity{}, err
	}
	note(ctx, c)
	key, err := p.verify(ctx, c)
	if err != nil {
		return sdk.Identity{}, err
	}
	if !c.Presigned {
		switch first, err := p.replays.once(r.Realm, c.Signature, c.ends, p.now()); {
		case err != nil:
			return sdk.Identity{}, err
		case !first:
			return sdk.Identity{}, sdk.Deny("signature_replayed", "the signature was used before: sign every request anew")
		}
	}
	return p.identity(key, c)
}

// note tells whoever explains the decision what was signed. Clients print the hash of the canonical request when they are asked to.
func note(ctx context.Context, c claim) {
	if n := sdk.NotesOf(ctx); n != nil {
		n.Add("signed with the access key %q for %s, at %s; good until %s", c.KeyID, c.Scope, c.at.UTC().Format(time.RFC3339), c.ends.UTC().Format(time.RFC3339))
		n.Add("signed headers: %s", strings.Join(c.Signed, ", "))
		n.Add("the canonical request, as it arrived, has the SHA-256 %x", sha256.Sum256([]byte(c.canonical)))
	}
}

// verify finds the key and compares the signature. A key that is not known makes the same answer and the same comparison.
func (p *Provider) verify(ctx context.Context, c claim) (sdk.AccessKey, error) {
	key, err := sdk.FindAccessKey(ctx, c.KeyID)
	known := err == nil
	secret := []byte(dummy)
	switch {
	case known:
		s, err := key.Secret.Value(ctx)
		if err != nil {
			return sdk.AccessKey{}, fmt.Errorf("the secret of an access key: %w", err)
		}
		secret = s.Reveal()
	case sdk.AsDenial(err) == nil:
		return sdk.AccessKey{}, err
	}
	if n := sdk.NotesOf(ctx); n != nil && !known {
		n.Add("the access key is not known to the realm")
	}
	if fits := c.Fits(secret, c.at, c.canonical); !fits || !known {
		return sdk.AccessKey{}, sdk.Deny("signature_invalid", "the signature does not fit the request as it arrived, or the access key is not known")
	}
	if !key.Enabled {
		return sdk.AccessKey{}, sdk.Forbid("principal_disabled", "the principal of the access key is disabled")
	}
	return key, nil
}

// identity is the principal that the key was issued to.
func (p *Provider) identity(key sdk.AccessKey, c claim) (sdk.Identity, error) {
	claims, err := json.Marshal(map[string]string{"principal_id": key.Principal.ID, "principal_name": key.Principal.Name, "access_key_id": key.ID})
	if err != nil {
		return sdk.Identity{}, err
	}
	hash := sha256.Sum256([]byte(c.Signature))
	return sdk.Identity{
		Subject: cmp.Or(key.Principal.ID, key.Principal.Name), TokenID: hex.EncodeToString(hash[:8]), Claims: sdk.NewClaims(claims),
		Roles: slices.Clone(p.settings.Roles), AuthTime: c.at, Expires: c.ends,
	}, nil
}
