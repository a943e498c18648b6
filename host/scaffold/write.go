package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Write makes the folder with the plugin's files, and gives their names, sorted. The folder may be there if there is nothing in
// it but a .git. Nothing is overwritten, and what cannot be written as a whole is taken back.
func (p Plugin) Write(dir string) (written []string, err error) {
	files, err := p.Files()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() != ".git" {
			return nil, fmt.Errorf("%s: the folder is not empty (%s is in it): nothing was written", dir, e.Name())
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return write(dir, files)
}

func write(dir string, files map[string][]byte) (written []string, err error) {
	defer func() {
		if err != nil {
			for _, name := range written {
				err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
			}
			written = nil
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return written, err
		}
		written = append(written, name)
		_, err = f.Write(files[name])
		if err = errors.Join(err, f.Close()); err != nil {
			return written, err
		}
	}
	return written, nil
}
