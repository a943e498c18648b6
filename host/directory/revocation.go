package directory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strings"
	"time"
)

// revocationGrace is how long the entry of a revoked token outlives it: as long as anyone may still accept the token
// because of clock skew.
const revocationGrace = time.Hour

// idLength is that of the ids that the host gives to tokens: 128 bits in hex.
const idLength = 32

// SessionOf gives the session that a token id stands for. Tokens that stem from one authentication have the id of the first
// one, and those after it a dot and an id of their own behind it. Any other id is a session by itself.
func SessionOf(tokenID string) string {
	session, own, _ := strings.Cut(tokenID, ".")
	if isID(session) && isID(own) {
		return session
	}
	return tokenID
}

func isID(s string) bool { return len(s) == idLength && strings.Trim(s, "0123456789abcdef") == "" }

// RevokeToken denies the token with this id, of this issuer, from now on; of the realm's own tokens also all those of the
// session with this id, see [SessionOf]. until is when the last of them expires; the zero time stands for a token that does
// not. Entries go away some time after their tokens. An empty token id is [ErrInvalid].
func (d *Directory) RevokeToken(ctx context.Context, realm, issuer, tokenID string, until time.Time) (err error) {
	defer wrap(&err, "revoke a token")
	if tokenID == "" {
		return &InvalidError{"token id", "must not be empty"}
	}
	expires := int64(math.MaxInt64)
	if !until.IsZero() {
		expires = toStored(until)
	}
	token := hashToken(issuer, tokenID)
	_, err = d.change(ctx, realm, func(c *change) error {
		long := toStored(c.now.Add(-revocationGrace))
		if expires < long {
			return errUnchanged
		}
		if _, err := c.exec(ctx, "DELETE FROM revoked_tokens WHERE realm = ? AND expires < ?", realm, long); err != nil {
			return err
		}
		n, err := c.exec(ctx, `INSERT INTO revoked_tokens (realm, token, expires) VALUES (?, ?, ?)
			ON CONFLICT (realm, token) DO UPDATE SET expires = excluded.expires WHERE revoked_tokens.expires < excluded.expires`,
			realm, token[:], expires)
		if err == nil && n == 0 {
			return errUnchanged
		}
		return err
	})
	return err
}

// IsRevoked says whether [Directory.RevokeToken] was called with this issuer and id, as far as this node knows.
func (d *Directory) IsRevoked(ctx context.Context, realm, issuer, tokenID string) (revoked bool, err error) {
	defer wrap(&err, "look up a revocation")
	return d.isRevoked(ctx, realm, issuer, tokenID)
}

// hashToken stands for a token's issuer and id, which may be of any length and any bytes. The length of the issuer comes
// first, so that no two pairs run together into the same bytes.
func hashToken(issuer, tokenID string) [sha256.Size]byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(issuer)+len(tokenID)), uint64(len(issuer)))
	b = append(b, issuer...)
	return sha256.Sum256(append(b, tokenID...))
}
