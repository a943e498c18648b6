package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/realmgate/realmgate/host/child"
)

// binaryPrefix is what the file name of every plugin binary starts with.
const binaryPrefix = "realmgate-plugin-"

// BinaryName gives the file name of the binary of a plugin.
func BinaryName(plugin string) string { return binaryPrefix + plugin }

// Source says where a plugin comes from and how it is started.
type Source struct {
	Name    string // label of the plugin block, or of a bundled binary what follows realmgate-plugin-
	Bundled bool   // came with the daemon; a plugin block of the same name takes its place
	Grants  Grants // what it may ask the host for
	Pin     *Pin   // what a lock file says of it; nil: there is none
	child.Program

	User *child.User // whom its process runs as; nil: the host's user
	// PerRealm has each realm, and each secret store, in a process of its own, as a user of its own out of the range; nil: one
	// process is for all. One more tells what the plugin offers and is used for nothing else.
	PerRealm *child.Range
	owner    string // for whom the process is of a plugin that has several; empty: for nobody
}

// Same says whether one process can be of both sources: what a lock file says of it is looked at by the host and takes
// no new one. What is granted does: a process knows what it was allowed to ask for.
func (s Source) Same(o Source) bool {
	s.Pin, o.Pin = nil, nil
	return reflect.DeepEqual(s, o)
}

// Bundled lists the realmgate-plugin-* binaries in dir, by name. What is not an executable file is passed over.
func Bundled(dir string) ([]Source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("bundled plugins: %w", err)
	}
	var out []Source
	for _, e := range entries { // ReadDir sorts by name
		name, ok := strings.CutPrefix(e.Name(), binaryPrefix)
		if !ok || name == "" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			continue
		}
		out = append(out, Source{Name: name, Bundled: true, Grants: Grants{Wanted: true}, Program: child.Program{Path: path, TLS: true}})
	}
	return out, nil
}
