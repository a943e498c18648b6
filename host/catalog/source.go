package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// binaryPrefix is what the file name of every plugin binary starts with.
const binaryPrefix = "realmgate-plugin-"

// BinaryName gives the file name of the binary of a plugin.
func BinaryName(plugin string) string { return binaryPrefix + plugin }

// Source says where a plugin comes from and how it is started.
type Source struct {
	Name    string            // label of the plugin block, or of a bundled binary what follows realmgate-plugin-
	Path    string            // of the binary
	SHA256  string            // hex; empty: not pinned
	TLS     bool              // mutual TLS with certificates made at the start; false only where the operator opted out
	Args    []string          // arguments from the operator's block
	Env     map[string]string // from the operator's block; a plugin sees nothing of the host's own environment
	Bundled bool              // came with the daemon; a plugin block of the same name takes its place
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
		out = append(out, Source{Name: name, Path: path, TLS: true, Bundled: true})
	}
	return out, nil
}
