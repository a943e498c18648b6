package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
	"github.com/realmgate/realmgate/sdk"
)

// maxVersions is how many versions of a secret are kept, the newest included.
const maxVersions = 10

var errOtherStore = errors.New("the reference names another store")

// SealedSettings are those of [Sealed].
type SealedSettings struct {
	Dir     string        `json:"dir" doc:"folder of the sealed values, accessible to its owner only; made with the first write if it is missing"`
	KeyFile string        `json:"key_file,omitempty" doc:"file of the key, readable by its owner only and outside of dir; made with the first write if it is missing while dir holds no values. One key a line (32 random bytes in base64): the first one seals, further ones only open"`
	Key     sdk.SecretRef `json:"key,omitempty" doc:"reference to the text of such a file in another secret store, instead of key_file"`
}

// Sealed keeps secrets on the local disk, sealed with a key that lies elsewhere. Each write is a new version, of which the
// last ten are kept. What one store has sealed, no other store opens, whatever folder and key they share.
type Sealed struct {
	store    string
	settings SealedSettings
	folder   *folder
	now      func() time.Time
}

// NewSealed opens the store. It only looks: folder and key of a new store are made when something is written.
func NewSealed(ctx context.Context, setup sdk.Setup, s SealedSettings) (*Sealed, error) {
	if s.KeyFile == "" == s.Key.IsZero() {
		return nil, sdk.At(errors.New("exactly one of key_file and key is needed"), "key_file")
	}
	if s.KeyFile != "" && within(s.KeyFile, s.Dir) {
		return nil, sdk.At(errors.New("the key must not lie in dir: whoever gets hold of a copy of the folder would have the key as well"), "key_file")
	}
	f, err := openFolder(s.Dir)
	if err != nil {
		return nil, sdk.At(err, "dir")
	}
	x := &Sealed{store: setup.Store, settings: s, folder: f, now: time.Now}
	if err := x.inspect(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return x, nil
}

// warn tells what would be found out only when something is written.
func (s *Sealed) warn(ctx context.Context) {
	for key, dir := range map[string]string{"dir": s.settings.Dir, "key_file": filepath.Dir(s.settings.KeyFile)} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := privatefile.CanMake(dir); err != nil {
			sdk.Logger(ctx).WarnContext(ctx, "nothing can be written to the secret store: what is missing cannot be made", "store", s.store, "key", key, "error", err)
		}
	}
}

// sealing gives the keys to write with. That of a new store is made. The folder is locked.
func (s *Sealed) sealing(ctx context.Context) (keyring, error) {
	if ring, err := s.ring(ctx); err == nil && s.folder.sealedBy(ring[0]) {
		return ring, nil
	}
	documents, err := s.folder.documents()
	if err != nil {
		return nil, err
	}
	if s.settings.KeyFile != "" && len(documents) == 0 {
		made, err := makeKeyFile(s.settings.KeyFile)
		if err != nil {
			return nil, err
		}
		if made {
			sdk.Logger(ctx).WarnContext(ctx, "a key for sealed secrets was made; keep a copy of it in a safe place, since nothing opens the values without it", "key_file", s.settings.KeyFile)
		}
	}
	ring, err := s.ring(ctx)
	if err != nil {
		return nil, err
	}
	return ring, s.folder.confirm(ring, documents)
}

func (s *Sealed) keyAt() string {
	if s.settings.KeyFile != "" {
		return "key_file"
	}
	return "key"
}

// ring reads the keys. It is asked each time, so that a new key needs no restart.
func (s *Sealed) ring(ctx context.Context) (keyring, error) {
	ring, err := s.readRing(ctx)
	return ring, sdk.At(err, s.keyAt())
}

func (s *Sealed) readRing(ctx context.Context) (keyring, error) {
	if s.settings.KeyFile != "" {
		return readKeyFile(s.settings.KeyFile)
	}
	v, err := s.settings.Key.Value(ctx)
	if err != nil {
		return nil, err
	}
	return parseKeyring(v.Reveal())
}

// Close closes the folder.
func (s *Sealed) Close() error { return s.folder.close() }

// Resolve opens the newest version of a secret, or the one that the reference names.
func (s *Sealed) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	doc, err := s.load(ref)
	if err != nil {
		return sdk.Secret{}, err
	}
	version, err := doc.version(ref.Version())
	if err != nil {
		return sdk.Secret{}, err
	}
	ring, err := s.ring(ctx)
	if err != nil {
		return sdk.Secret{}, err
	}
	value, err := ring.open(s.store, ref.Path(), version)
	if err != nil {
		return sdk.Secret{}, err
	}
	v := sdk.NewSecret(value)
	v.Version = strconv.FormatInt(version.Number, 10)
	return v, nil
}

// load reads the file of a reference. The file of another one in its place is an error.
func (s *Sealed) load(ref sdk.SecretRef) (*document, error) {
	if ref.Store() != s.store {
		return nil, errOtherStore
	}
	doc, err := s.folder.load(fileName(s.store, ref.Path()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no such secret: %w", fs.ErrNotExist)
	}
	if err == nil && (doc.Store != s.store || doc.Path != ref.Path()) {
		return nil, errors.New("the file of another secret lies in its place")
	}
	return doc, err
}

// WriteSecret seals a value as a new version and answers its number, a decimal one. It has reached the disk then.
func (s *Sealed) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	version, err := s.write(ctx, ref, value)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(version, 10), nil
}

func (s *Sealed) write(ctx context.Context, ref sdk.SecretRef, value []byte) (int64, error) {
	switch {
	case len(value) > maxSecret:
		return 0, fmt.Errorf("the secret is longer than %d bytes", maxSecret)
	case ref.Store() != s.store:
		return 0, errOtherStore
	}
	unlock, err := s.folder.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	ring, err := s.sealing(ctx)
	if err != nil {
		return 0, err
	}
	doc, err := s.load(ref)
	if errors.Is(err, fs.ErrNotExist) {
		doc, err = &document{Format: format, Store: s.store, Path: ref.Path()}, nil
	}
	if err != nil {
		return 0, err
	}
	ring.reseal(doc)
	next := version{Number: 1, Created: s.now().UTC().Truncate(time.Second)}
	if len(doc.Versions) > 0 {
		next.Number = doc.latest().Number + 1
	}
	if err := ring.seal(s.store, ref.Path(), &next, value); err != nil {
		return 0, err
	}
	doc.Versions = append(doc.Versions, next)
	if n := len(doc.Versions) - maxVersions; n > 0 {
		doc.Versions = doc.Versions[n:]
	}
	return next.Number, s.folder.save(fileName(s.store, ref.Path()), doc)
}

// DeleteSecret removes a secret with all its versions; one that is not there is no error. A secret that is written there
// later begins with version 1.
func (s *Sealed) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	if ref.Store() != s.store {
		return errOtherStore
	}
	if _, err := s.folder.open(); errors.Is(err, fs.ErrNotExist) {
		return nil // and no reason to make it
	}
	unlock, err := s.folder.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.folder.remove(fileName(s.store, ref.Path())); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
