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

// pin gives each source what the lock file says of it, if there is a lock file.
func pin(cfg *config.Config, sources []catalog.Source) ([]catalog.Source, error) {
	path := lockPath(cfg)
	f, err := lock.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sources, nil
	}
	if err != nil {
		return nil, err
	}
	update, err := lockCommand(cfg)
	if err != nil {
		return nil, err
	}
	for i := range sources {
		sources[i].Pin = &catalog.Pin{File: path, Update: update + " --update " + sources[i].Name, Entry: f.Find(sources[i].Name)}
	}
	return sources, nil
}
