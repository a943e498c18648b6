package directory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/realmgate/realmgate/sdk"
)

// ClientSecret is a client secret on its way to its owner. It cannot be had again.
type ClientSecret struct {
	ClientID string
	Secret   sdk.Secret
	Version  string // a number; grows with each secret of a principal and is never used twice in a realm; disabling moves it on
}

// maxSecrets is how many secrets of a principal are valid at a time: the newest, and the one that it replaces while
// clients change over.
const maxSecrets = 2

// storedSecret is what is kept of a secret.
type storedSecret struct {
	Version int64  `json:"version"`
	Salt    []byte `json:"salt"`
	Hash    []byte `json:"hash"`
}

func hashSecret(salt []byte, secret string) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write([]byte(secret))
	return h.Sum(nil)
}

func encodeSecrets(s []storedSecret) (string, error) {
	if s == nil {
		return "[]", nil
	}
	b, err := json.Marshal(s)
	return string(b), err
}

// newSecret draws a secret. Versions count through the realm, not the principal: a principal that is created anew under
// an old id must not find that the tokens of its predecessor name a version of its own. crypto/rand.Read never fails.
func (c *change) newSecret(clientID string) (ClientSecret, storedSecret) {
	var random [32]byte
	_, _ = rand.Read(random[:])
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	value := base64.RawURLEncoding.EncodeToString(random[:])
	c.lastSecret++
	version := strconv.FormatInt(c.lastSecret, 10)
	secret := sdk.NewSecret([]byte(value))
	secret.Version = version
	return ClientSecret{ClientID: clientID, Secret: secret, Version: version},
		storedSecret{Version: c.lastSecret, Salt: salt, Hash: hashSecret(salt, value)}
}

// renumber gives secrets new versions, in their order: who knows one may go on with it, what was obtained with it before
// may not.
func (c *change) renumber(secrets []storedSecret) {
	for i := range secrets {
		c.lastSecret++
		secrets[i].Version = c.lastSecret
	}
}

// RotateSecret gives a principal a new secret. It and the one before are valid; older ones, and the tokens that were
// obtained with them, are not any more.
func (d *Directory) RotateSecret(ctx context.Context, realm, name string) (_ ClientSecret, err error) {
	defer wrap(&err, "rotate the secret of principal %q", name)
	return d.replaceSecret(ctx, realm, name, maxSecrets-1)
}

// ResetSecret gives a principal a new secret, the only one that is valid. All earlier ones, and the tokens that were
// obtained with them, are not any more.
func (d *Directory) ResetSecret(ctx context.Context, realm, name string) (_ ClientSecret, err error) {
	defer wrap(&err, "reset the secret of principal %q", name)
	return d.replaceSecret(ctx, realm, name, 0)
}

func (d *Directory) replaceSecret(ctx context.Context, realm, name string, keep int) (s ClientSecret, err error) {
	_, err = d.change(ctx, realm, func(c *change) error {
		r, err := c.principal(ctx, name)
		if err != nil {
			return err
		}
		var one storedSecret
		s, one = c.newSecret(r.ClientID)
		secrets, err := encodeSecrets(append(r.secrets[max(0, len(r.secrets)-keep):], one))
		if err != nil {
			return err
		}
		if err := c.one(ctx, "UPDATE principals SET secrets = ? WHERE pk = ?", secrets, r.pk); err != nil {
			return err
		}
		return c.touch(ctx, r)
	})
	if err != nil {
		return ClientSecret{}, err
	}
	return s, nil
}

// Authenticate checks client credentials and gives the principal and the version of the secret that was used.
// [ErrBadCredentials] stands for an unknown client, a wrong secret and a disabled principal alike, after the same work:
// what else is kept of a principal, which may be much, is read only once its secret was the right one.
func (d *Directory) Authenticate(ctx context.Context, realm, clientID, secret string) (_ Principal, version string, err error) {
	p, version, err := d.authenticate(ctx, realm, clientID, secret)
	if err != nil && err != ErrBadCredentials { //nolint:errorlint // that one is an answer and stays bare
		wrap(&err, "authenticate a client")
	}
	return p, version, err
}

func (d *Directory) authenticate(ctx context.Context, realm, clientID, secret string) (Principal, string, error) {
	if !possible(realm, clientID) {
		realm, clientID = "", "" // nothing is kept under these, and the store is asked all the same
	}
	var pk int64
	var enabled bool
	text := placeholders
	err := d.stmt.byClient.QueryRowContext(ctx, realm, clientID).Scan(&pk, &enabled, &text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Principal{}, "", err
	}
	known := err == nil
	var secrets []storedSecret
	if err := json.Unmarshal([]byte(text), &secrets); err != nil {
		return Principal{}, "", fmt.Errorf("the stored secrets of a principal cannot be read: %w", err)
	}
	if !known {
		secrets = nil // they were read for the sake of the time only
	}
	version, ok := d.match(secrets, secret)
	if !ok || !enabled {
		return Principal{}, "", ErrBadCredentials
	}
	r, err := scanRecord(d.stmt.byPK.QueryRowContext(ctx, realm, pk))
	switch {
	case errors.Is(err, ErrNotFound):
		return Principal{}, "", ErrBadCredentials
	case err != nil:
		return Principal{}, "", err
	case !r.Enabled || !slices.Contains(r.SecretVersions, version): // changed in the meantime
		return Principal{}, "", ErrBadCredentials
	}
	return r.Principal, version, nil
}

// placeholders are read in place of the secrets of a client that does not exist.
var placeholders = func() string {
	s := storedSecret{Version: 1, Salt: make([]byte, 16), Hash: make([]byte, sha256.Size)}
	text, err := encodeSecrets(slices.Repeat([]storedSecret{s}, maxSecrets))
	if err != nil {
		panic(err) // never: nothing in them cannot be JSON
	}
	return text
}()

// match finds the secret that was presented. It always compares with maxSecrets of them, real or not, so that its time
// tells neither whether the client exists nor how many secrets it has.
func (d *Directory) match(stored []storedSecret, presented string) (version string, ok bool) {
	for i := range maxSecrets {
		s := storedSecret{Salt: make([]byte, 16), Hash: make([]byte, sha256.Size)}
		exists := i < len(stored)
		if exists {
			s = stored[i]
		}
		if d.equal(hashSecret(s.Salt, presented), s.Hash) == 1 && exists {
			version, ok = strconv.FormatInt(s.Version, 10), true
		}
	}
	return version, ok
}
