package secrets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
)

// kind says how a mount is read.
type kind uint8

const (
	other kind = iota // an engine that makes secrets on demand
	kv1
	kv2
)

// mount is where an engine is, with a slash at its end.
type mount struct {
	path  string
	kind  kind
	asked time.Time // when the server said so; zero: the settings do
}

// rest gives the part of a path below the mount.
func (m mount) rest(path string) string {
	if rest, ok := strings.CutPrefix(path, m.path); ok {
		return rest
	}
	return ""
}

const (
	// mountsFor is how long it is remembered what is where, and doubtAfter how long at least, whatever is not found there.
	mountsFor  = 5 * time.Minute
	doubtAfter = 5 * time.Second
	maxMounts  = 256
)

// mounts remembers what the server said of its mounts.
type mounts struct {
	mu    sync.Mutex
	known map[string]mount
}

func (m *mounts) find(path string, now time.Time) (mount, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, x := range m.known {
		if strings.HasPrefix(path, at) { // no mount is below another
			return x, now.Sub(x.asked) <= mountsFor
		}
	}
	return mount{}, false
}

func (m *mounts) keep(x mount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMounts {
		m.known = map[string]mount{}
	}
	m.known[x.path] = x
}

// doubt forgets a mount in which something was not found, unless the server has just said what it is. It says whether it did.
func (m *mounts) doubt(x mount, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x.asked.IsZero() || now.Sub(x.asked) < doubtAfter {
		return false
	}
	delete(m.known, x.path)
	return true
}

// forget has the server asked about a path again.
func (m *mounts) forget(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at := range m.known {
		if strings.HasPrefix(path, at) {
			delete(m.known, at)
		}
	}
}

// mountOf says how a path is read.
func (s *Store) mountOf(ctx context.Context, path string) (mount, error) {
	if first, _, _ := strings.Cut(path, "/"); inner(first) {
		return mount{}, errNoSecrets
	}
	if s.settings.KVVersion != kvAuto {
		return s.configured(path)
	}
	if x, ok := s.mounts.find(path, time.Now()); ok {
		return x, nil
	}
	before := time.Now()
	out, err := s.session.Do(ctx, client.Request{Method: http.MethodGet, Path: "sys/internal/ui/mounts/" + path})
	switch {
	case client.Status(err) == http.StatusNotFound: // a server that does not say: it has no version 2 either
		return firstSegment(path, kv1)
	case client.Denied(err):
		return mount{}, fmt.Errorf("the policies of the store's token give nothing at %s, or there is nothing: %w", path, err)
	case err != nil:
		return mount{}, err
	}
	if out.Secret == nil {
		return mount{}, errors.New("the server says nothing of the mount")
	}
	at, _ := out.Data["path"].(string)
	typ, _ := out.Data["type"].(string)
	if !strings.HasSuffix(at, "/") || !strings.HasPrefix(path+"/", at) {
		return mount{}, errors.New("the server names a mount that does not have the path")
	}
	x := mount{path: at, asked: before}
	switch typ {
	case "kv", "generic":
		x.kind = kv1
		options, _ := out.Data["options"].(map[string]any)
		if v, _ := options["version"].(string); v == "2" {
			x.kind = kv2
		}
	case "system", "identity", "token", "cubbyhole", "ns_system", "ns_identity", "ns_token", "ns_cubbyhole":
		return mount{}, errNoSecrets
	}
	if inner(at) {
		return mount{}, errNoSecrets
	}
	s.mounts.keep(x)
	return x, nil
}

var errNoSecrets = errors.New("what is there are no secrets of an engine: key-value secrets and what engines make on demand can be referred to")

// inner: what a server says of itself and of the store's own token, also in a namespace.
func inner(path string) bool {
	for _, seg := range strings.Split(path, "/") {
		switch seg {
		case "auth", "sys", "identity", "cubbyhole":
			return true
		}
	}
	return false
}

// configured is the mount as the settings have it.
func (s *Store) configured(path string) (mount, error) {
	k := kv1
	if s.settings.KVVersion == "2" {
		k = kv2
	}
	if len(s.settings.KVMounts) == 0 {
		// The paths of version 1 go out as they are, and the first segment may be a namespace. Those of version 2 have
		// "data" behind it, where nothing of the server's own is.
		if k == kv1 && inner(path) {
			return mount{}, fmt.Errorf("%w; a key-value secret with such a name needs its mount in kv_mounts", errNoSecrets)
		}
		return firstSegment(path, k)
	}
	best := mount{}
	for _, m := range s.settings.KVMounts {
		if at := m + "/"; strings.HasPrefix(path, at) && len(at) > len(best.path) {
			best = mount{path: at, kind: k}
		}
	}
	switch {
	case best.path != "":
		return best, nil
	case inner(path): // of a namespace, perhaps: the server is not asked here
		return mount{}, errNoSecrets
	}
	return firstSegment(path, other)
}

func firstSegment(path string, k kind) (mount, error) {
	first, _, ok := strings.Cut(path, "/")
	if !ok {
		return mount{}, errors.New("the path of the reference has a mount and what is below it")
	}
	return mount{path: first + "/", kind: k}, nil
}
