package main

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/lock"
)

// lockPath is where the lock file of a configuration is, if it has one.
func lockPath(cfg *config.Config) string { return filepath.Join(cfg.Folder, lock.Name) }

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
	for i := range sources {
		sources[i].Pin = &catalog.Pin{File: path, Update: "realmgate plugin lock --update " + sources[i].Name, Entry: f.Find(sources[i].Name)}
	}
	return sources, nil
}
