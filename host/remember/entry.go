package remember

import (
	"maps"
	"slices"

	"github.com/realmgate/realmgate/host/pipeline"
)

// entry is an answer. It is shared and never changed.
type entry struct {
	decision pipeline.Decision
	section  uint64
	epoch    uint64 // of the realm, in which it holds
	end      moment
}

// own gives a decision that shares nothing that can be changed with d. The lists are cut to their length, so that what is
// appended to one does not run into the next.
func own(d pipeline.Decision) pipeline.Decision {
	active, granted := len(d.Roles), len(d.Principal.Roles)
	list := make([]string, 0, active+granted)
	list = append(append(list, d.Roles...), d.Principal.Roles...)
	if d.Roles != nil {
		d.Roles = list[:active:active]
	}
	if d.Principal.Roles != nil {
		d.Principal.Roles = list[active:]
	}
	d.Principal.Attributes = maps.Clone(d.Principal.Attributes)
	if d.Denial != nil {
		no := *d.Denial
		no.Challenge = slices.Clone(no.Challenge)
		d.Denial = &no
	}
	return d
}

// What an entry takes beside its texts, in bytes, as TestWeight measures it: the node of the cache with its key and its place in
// the table, the entry itself, and per text or pair of attributes what refers to it.
const (
	baseWeight   = 430
	textWeight   = 32
	mapWeight    = 304
	pairWeight   = 64
	denialWeight = 64
	mostWeight   = 1 << 20 // of an entry; a heavier one is not kept
)

// weight estimates what an entry takes, in bytes.
func (e *entry) weight() uint32 {
	d := &e.decision
	n := baseWeight + len(d.Realm) + len(d.Tenant) + len(d.TokenID) + len(d.Principal.Realm) + len(d.Principal.ID) + len(d.Principal.Name)
	for _, list := range [][]string{d.Roles, d.Principal.Roles} {
		for _, s := range list {
			n += textWeight + len(s)
		}
	}
	if len(d.Principal.Attributes) > 0 {
		n += mapWeight
	}
	for k, v := range d.Principal.Attributes {
		n += pairWeight + len(k) + len(v)
	}
	if d.Denial != nil {
		n += denialWeight + len(d.Denial.Reason) + len(d.Denial.Detail)
	}
	return uint32(min(n, mostWeight+1))
}
