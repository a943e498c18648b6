package secrets

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/realmgate/realmgate/plugins/default/privatefile"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// maxSecret bounds a secret in bytes.
	maxSecret = 64 << 10
	// fileKept is for how long a value serves: a file is read quickly, and whoever changes it waits for what comes of it.
	fileKept = time.Second
)

// errVersion answers a reference with a version: neither env nor file keeps any.
var errVersion = errors.New("this store keeps no versions")

// FileSettings are those of [File].
type FileSettings struct {
	Dir string `json:"dir" doc:"directory of the secrets; it must exist, and group and others must not write to it"`
}

// File keeps each secret in a file of its own below one directory; the path of a reference is the file's. Files must be
// readable by their owner only, as package privatefile has it. A changed file is noticed within a second. One newline at the end of a file does not belong to the secret.
type File struct{ root *os.Root }

// NewFile checks and opens the directory.
func NewFile(_ context.Context, _ sdk.Setup, s FileSettings) (*File, error) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, sdk.At(err, "dir")
	}
	info, err := root.Stat(".")
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("the mode of %s is %#o: others than its owner may write to it; chmod 0700 it", s.Dir, info.Mode().Perm())
	}
	if err != nil {
		return nil, errors.Join(sdk.At(err, "dir"), root.Close())
	}
	return &File{root: root}, nil
}

// Close closes the directory.
func (f *File) Close() error { return f.root.Close() }

// Resolve reads the file. Links that lead out of the directory are not followed.
func (f *File) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	if ref.Version() != "" {
		return sdk.Secret{}, errVersion
	}
	file, err := f.root.OpenFile(ref.Path(), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return sdk.Secret{}, err
	}
	value, err := privatefile.ReadFrom(file, maxSecret+1)
	if err != nil {
		return sdk.Secret{}, err
	}
	value = bytes.TrimSuffix(value, []byte("\n"))
	if len(value) > maxSecret {
		return sdk.Secret{}, fmt.Errorf("the secret is longer than %d bytes", maxSecret)
	}
	out := sdk.NewSecret(value)
	out.CacheUntil = time.Now().Add(fileKept)
	return out, nil
}

// WriteSecret writes the file anew, all or nothing, with a newline at its end, so that Resolve gives the very value.
// Directories on the way are made. The version is empty.
func (f *File) WriteSecret(_ context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	return "", f.write(ref, value)
}

func (f *File) write(ref sdk.SecretRef, value []byte) (err error) {
	if len(value) > maxSecret {
		return fmt.Errorf("the secret is longer than %d bytes", maxSecret)
	}
	dir := path.Dir(ref.Path())
	if err := f.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temporary := path.Join(dir, "."+rand.Text()+".tmp")
	file, err := f.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.root.Remove(temporary))
		}
	}()
	_, err = file.Write(append(bytes.Clone(value), '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.root.Rename(temporary, ref.Path()); err != nil {
		return err
	}
	f.syncDir(dir)
	return nil
}

// DeleteSecret removes the file; one that is not there is no error.
func (f *File) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	if err := f.root.Remove(ref.Path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.syncDir(path.Dir(ref.Path()))
	return nil
}

// syncDir makes a rename last over a power cut where the file system can; where it cannot, the file is still whole.
func (f *File) syncDir(dir string) {
	if d, err := f.root.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
