package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/realmgate/realmgate/sdk"
)

// headerFile says which key a folder is sealed with, so that none is taken for it by mistake.
const headerFile = "folder.json"

// header is the content of the file: nothing, sealed.
type header struct {
	Format int    `json:"format"`
	Key    string `json:"key"`
	Check  []byte `json:"check"`
}

// What it is sealed for; no secret has an empty store.
const headerStore, headerPath, headerVersion = "", "folder", 1

// errOtherKey says that a folder belongs to a key that is not in the ring.
var errOtherKey = errors.New("dir holds values that another key has sealed")

func (f *folder) header() (*header, error) {
	raw, err := f.read(headerFile)
	if err != nil {
		return nil, err
	}
	var h header
	if err := json.Unmarshal(raw, &h); err != nil || h.Format != format {
		return nil, fmt.Errorf("%s: %w; without it another one is made", filepath.Join(f.dir, headerFile), errDamaged)
	}
	return &h, nil
}

// opens says whether a ring has the key of a folder that holds documents: that of its header, or, without one, that of the
// documents. With an [errOtherKey] it does not; other errors leave it open.
func (f *folder) opens(ring keyring, documents []string) error {
	h, err := f.header()
	if err == nil {
		if _, err := ring.open(headerStore, headerPath, version{Number: headerVersion, Key: h.Key, Box: h.Check}); err != nil {
			return fmt.Errorf("%w: %w", errOtherKey, err)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range documents {
		doc, err := f.load(name)
		if err != nil {
			continue // that secret is lost, and no other one
		}
		if _, err := ring.byID(doc.latest().Key); err != nil {
			return fmt.Errorf("%w: %w", errOtherKey, err)
		}
	}
	return nil
}

// sealedBy says whether a key is that of the folder.
func (f *folder) sealedBy(k sealKey) bool {
	h, err := f.header()
	return err == nil && h.Key == k.id && f.opens(keyring{k}, nil) == nil
}

// confirm sees to it that a folder is written to with its own key only: a ring that does not have that key is refused, and one
// whose first key is a new one takes over. The folder is locked.
func (f *folder) confirm(ring keyring, documents []string) error {
	if len(documents) > 0 {
		if err := f.opens(ring, documents); err != nil {
			return err
		}
	}
	v := version{Number: headerVersion}
	if err := ring.seal(headerStore, headerPath, &v, nil); err != nil {
		return err
	}
	return f.save(headerFile, header{Format: format, Key: v.Key, Check: v.Box})
}

// inspect sees to it that the key of a store that holds values is the right one, and that there is one otherwise, or can be.
// A file that cannot be read is that of one secret, and no reason to do without the others.
func (s *Sealed) inspect(ctx context.Context) error {
	documents, err := s.folder.documents()
	if err != nil {
		return sdk.At(err, "dir")
	}
	ring, err := s.ring(ctx)
	if len(documents) == 0 && s.settings.KeyFile != "" && errors.Is(err, fs.ErrNotExist) {
		s.warn(ctx)
		return nil
	}
	if err != nil || len(documents) == 0 {
		return err
	}
	err = s.folder.opens(ring, documents)
	if errors.Is(err, errOtherKey) {
		return sdk.At(err, s.keyAt())
	}
	if err != nil {
		sdk.Logger(ctx).WarnContext(ctx, "nothing can be written to the secret store", "store", s.store, "error", err)
	}
	return nil
}
