package secrets

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
)

const (
	keySize    = 32
	saltSize   = 32
	maxKeys    = 16
	maxKeyFile = 16 << 10
)

// sealKey is a key and the id that values name it by, which says nothing about it.
type sealKey struct {
	id  string
	raw []byte
}

// keyring holds the keys of a store. The first one seals, all of them open.
type keyring []sealKey

// parseKeyring reads keys, one a line; empty lines and those that begin with # are none. No error repeats a line.
func parseKeyring(text []byte) (keyring, error) {
	var ring keyring
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != keySize {
			return nil, fmt.Errorf("line %d is no key: %d random bytes in base64 are wanted, as of openssl rand -base64 %d", n+1, keySize, keySize)
		}
		k := newSealKey(raw)
		if _, err := ring.byID(k.id); err == nil {
			return nil, fmt.Errorf("line %d repeats a key", n+1)
		}
		if ring = append(ring, k); len(ring) > maxKeys {
			return nil, fmt.Errorf("there are more than %d keys", maxKeys)
		}
	}
	if len(ring) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return ring, nil
}

func newSealKey(raw []byte) sealKey {
	id, err := hkdf.Key(sha256.New, raw, nil, "realmgate sealed-file key id", 8)
	if err != nil {
		panic(err) // of constants
	}
	return sealKey{id: hex.EncodeToString(id), raw: raw}
}

func (r keyring) byID(id string) (sealKey, error) {
	for _, k := range r {
		if k.id == id {
			return k, nil
		}
	}
	var have []string
	for _, k := range r {
		have = append(have, k.id)
	}
	return sealKey{}, fmt.Errorf("it is sealed with the key %.40q, and there is only %s", id, strings.Join(have, ", "))
}

// seal fills a version that has its number.
func (r keyring) seal(store, path string, v *version, value []byte) error {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	aead, err := r[0].aead(salt)
	if err != nil {
		return err
	}
	v.Key, v.Box = r[0].id, aead.Seal(salt, nil, value, additional(store, path, v.Number))
	return nil
}

// open gives the value of a version. It is an error unless that very version of that path of that store was sealed.
func (r keyring) open(store, path string, v version) ([]byte, error) {
	k, err := r.byID(v.Key)
	if err != nil {
		return nil, err
	}
	if len(v.Box) < saltSize {
		return nil, errDamaged
	}
	aead, err := k.aead(v.Box[:saltSize])
	if err != nil {
		return nil, err
	}
	value, err := aead.Open(nil, nil, v.Box[saltSize:], additional(store, path, v.Number))
	if err != nil {
		return nil, errors.New("it does not open: it was changed, or sealed as another secret or version")
	}
	return value, nil
}

// reseal seals anew what a former key has sealed. What does not open stays as it is.
func (r keyring) reseal(doc *document) {
	for i := range doc.Versions {
		v := &doc.Versions[i]
		if v.Key == r[0].id {
			continue
		}
		if value, err := r.open(doc.Store, doc.Path, *v); err == nil {
			_ = r.seal(doc.Store, doc.Path, v, value)
		}
	}
}

// aead gives AES-256-GCM with a key of its own for each sealed value (HKDF with SHA-256, RFC 5869, of a random salt): a
// nonce is not used twice with a key, however many values there are.
func (k sealKey) aead(salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.raw, salt, "realmgate sealed-file value", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// additional is what a value is sealed for.
func additional(store, path string, number int64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte("realmgate sealed-file 1\x00"), joined(store, path)...), uint64(number))
}

// joined puts the length before each part, so that no two lists of parts give the same.
func joined(parts ...string) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

func readKeyFile(path string) (keyring, error) {
	raw, err := privatefile.Read(path, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key is missing, and nothing opens the values without it; bring it back from where you keep a copy: %w", err)
	}
	if err != nil {
		return nil, err
	}
	ring, err := parseKeyring(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// makeKeyFile makes a key unless there is a file already. All or nothing, and of two who make it at a time one does.
func makeKeyFile(path string) (made bool, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	dir := filepath.Dir(path)
	if err := privatefile.MakeDir(dir); err != nil {
		return false, err
	}
	above, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw) // never fails
	var text bytes.Buffer
	text.WriteString("# Keys of sealed secrets, one a line. The first one seals, further ones only open.\n")
	text.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	temporary, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return false, err
	}
	_, err = temporary.Write(text.Bytes())
	err = errors.Join(err, privatefile.GiveTo(temporary, above), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Link(temporary.Name(), path)
	}
	err = errors.Join(err, os.Remove(temporary.Name()))
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return true, err
	}
	return true, errors.Join(syncDir(d), d.Close())
}
