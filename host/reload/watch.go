package reload

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// watchInterval is the pause between two looks at the files.
const watchInterval = time.Second

// Watch calls changed, with their names, when files have other contents than before, until ctx ends. A folder stands for its
// *.hcl files. It asks paths for the files each time; one that comes to be watched has not changed. Files that are being
// written are left alone until they rest from one look to the next, and each content is told of once.
func Watch(ctx context.Context, paths func() []string, turns func() uint64, changed func([]string)) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var w watcher
	w.look(paths(), turns())
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if list := w.look(paths(), turns()); len(list) > 0 && ctx.Err() == nil {
			changed(list)
		}
	}
}

type watcher struct {
	seen  map[string]sight
	turns uint64 // at the last look
}

// sight is what a look saw of a path.
type sight struct {
	stat   string // changes with the content, as far as that is to be had cheaply
	digest string // of the content when it last rested
	rested bool   // the digest is that of this stat
	doubt  bool   // a reload may have seen another content since
}

// look gives the paths whose contents have changed and rest.
func (w *watcher) look(paths []string, turns uint64) (changed []string) {
	reloads := turns != w.turns || turns%2 == 1
	w.turns = turns
	now := map[string]sight{}
	for _, path := range paths {
		if _, twice := now[path]; twice || path == "" {
			continue
		}
		old, known := w.seen[path]
		s := sight{stat: see(path, statOf), digest: old.digest}
		moved := s.stat != old.stat
		s.doubt = old.doubt || reloads && (moved || !old.rested)
		switch {
		case !known:
			s.digest, s.rested, s.doubt = see(path, digestOf), true, false
		case !moved && !old.rested:
			if s.digest = see(path, digestOf); s.digest != old.digest || s.doubt {
				changed = append(changed, path)
			}
			s.rested, s.doubt = true, false
		default:
			s.rested = !moved
		}
		now[path] = s
	}
	w.seen = now
	slices.Sort(changed)
	return changed
}

// see looks at a file, or at the *.hcl files of a folder.
func see(path string, at func(string) string) string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return at(path)
	}
	var out strings.Builder
	for _, e := range entries { // sorted by name
		if strings.HasSuffix(e.Name(), ".hcl") {
			out.WriteString(e.Name() + "\x00" + at(filepath.Join(path, e.Name())) + "\x00")
		}
	}
	return out.String()
}

// maxRead is up to where a file is read at each look: what is swapped by a link may have the size and the time of the former.
const maxRead = 1 << 20

func statOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintf("%d %d %v", info.Size(), info.ModTime().UnixNano(), info.Mode())
	if info.Mode().IsRegular() && info.Size() <= maxRead {
		s += digestOf(path)
	}
	return s
}

func digestOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	if !info.Mode().IsRegular() {
		return info.Mode().String() // a pipe would block
	}
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err.Error()
	}
	return info.Mode().String() + string(h.Sum(nil))
}
