package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/lock"
)

// lockPath is where the lock file of a configuration is, if it has one.
func lockPath(cfg *config.Config) string { return filepath.Join(cfg.Folder, lock.Name) }

// lockCommand is the command that locks the plugins of a configuration, wherever it is given.
func lockCommand(cfg *config.Config) (string, error) {
	out := "realmgate plugin lock"
	for _, f := range cfg.Files {
		path, err := filepath.Abs(f)
		if err != nil {
			return "", err
		}
		if strings.ContainsFunc(path, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:@%", r)
		}) {
			path = "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
		}
		out += " --config " + path
	}
	return out, nil
}

// pin gives each source what the lock file says of it, if there is a lock file, and says whether there is.
func pin(cfg *config.Config, sources []catalog.Source) ([]catalog.Source, lock.State, error) {
	path, err := filepath.Abs(lockPath(cfg))
	if err != nil {
		return nil, lock.State{}, err
	}
	state := lock.State{File: path}
	if state.Command, err = lockCommand(cfg); err != nil {
		return nil, state, err
	}
	f, err := lock.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sources, state, nil
	}
	if err != nil {
		return nil, state, err
	}
	state.InForce, state.Entries, state.Digest = true, len(f.Plugins), f.Digest()
	for i := range sources {
		sources[i].Pin = &catalog.Pin{File: path, Update: state.Command + " --update " + sources[i].Name, Entry: f.Find(sources[i].Name)}
	}
	return sources, state, nil
}
