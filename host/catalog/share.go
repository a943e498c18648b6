package catalog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// fingerprint is equal for instances that may be one. It is keyed, since secrets go into it.
type fingerprint [sha256.Size]byte

func (c *Catalog) fingerprint(i *Instance) (out fingerprint) {
	h := hmac.New(sha256.New, c.secret)
	put := func(parts ...string) { // each with its length, so that no two lists look alike
		var n [8]byte
		for _, p := range parts {
			binary.BigEndian.PutUint64(n[:], uint64(len(p)))
			h.Write(n[:])
			h.Write([]byte(p))
		}
	}
	list := func(parts []string) {
		put(string(binary.AppendUvarint(nil, uint64(len(parts)))))
		put(parts...)
	}
	s := &i.Setup
	put(string(rune(i.Kind)), i.Type, string(i.Settings), i.Basis, s.Realm, s.Issuer, s.Tenant, s.Store, s.AuthenticationType, s.RolePrefix)
	list(s.Audience)
	list(s.Unset)
	refs := make([]string, len(i.Refs))
	for n, r := range i.Refs {
		refs[n] = r.String()
	}
	list(refs)
	names := slices.Sorted(maps.Keys(s.Environment))
	list(names)
	for _, n := range names {
		put(string(s.Environment[n].Reveal()))
	}
	return fingerprint(h.Sum(nil))
}

// use is a set that has an instance, and the secrets that the set brought along for it.
type use struct {
	set     *Set
	secrets Secrets
	made    bool // the instance was made for the set
}

// share gives the set an instance that lives already, if there is one like it that the set does not have yet; nil
// otherwise. said is what its plugin had to say when it was built.
func (p *supervised) share(s *Set, mark fingerprint, in Instance) (i *instance, said []rpc.Diagnostic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i = p.known[mark]
	if i == nil || i.use(s) >= 0 {
		return nil, nil
	}
	i.uses = append(i.uses, use{set: s, secrets: in.Secrets})
	return i, slices.Clone(i.said)
}

// use finds the use of an instance by a set; -1 if there is none. p.mu is held.
func (i *instance) use(s *Set) int {
	return slices.IndexFunc(i.uses, func(u use) bool { return u.set == s })
}

// madeFor says whether the instance was made for a set.
func (i *instance) madeFor(s *Set) bool {
	i.p.mu.Lock()
	defer i.p.mu.Unlock()
	n := i.use(s)
	return n >= 0 && i.uses[n].made
}

// prefer makes the secrets of a set those of the instance. p.mu is held.
func (i *instance) prefer(n int) {
	u := i.uses[n] // a copy: the slice moves
	i.prefers = u.set
	i.secrets.Store(&u.secrets)
}

// drop takes the use of a set away. It says whether nobody is left who uses the instance. p.mu is held.
func (i *instance) drop(s *Set) (last bool) {
	n := i.use(s)
	if n < 0 {
		return false
	}
	i.uses = slices.Delete(i.uses, n, n+1)
	switch {
	case len(i.uses) == 0:
		return true
	case i.prefers == s:
		i.prefer(len(i.uses) - 1)
	}
	return false
}

// Unshared has Configure share no instance with other sets: everything is built anew. It is called before.
func (s *Set) Unshared() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unshared = true
}

// Activate says that the configuration that was built on the set serves from now on: the instances that it shares with other
// sets resolve secrets through its own [Secrets], and its lock file counts for processes that
// start again. It may be called again when a later set is given up.
func (s *Set) Activate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = true
	s.c.serving.Store(s)
	for p, src := range s.from {
		p.pin.Store(src.Pin)
	}
	for i := range s.held {
		i.p.mu.Lock()
		if n := i.use(s); n >= 0 {
			i.prefer(n)
		}
		i.p.mu.Unlock()
	}
}
