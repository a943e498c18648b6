package catalog

import (
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/lock"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// Contract is the version of the plugin contract that processes speak: others do not get through the handshake.
func Contract() int { return int(serve.Handshake.ProtocolVersion) }

// ReasonLocked says that a plugin is not what the lock file has.
const ReasonLocked child.Reason = "locked"

// Pin is what a lock file says of a plugin.
type Pin struct {
	File   string      // the lock file, for messages
	Update string      // the command that takes the plugin as it is, for messages
	Entry  *lock.Entry // nil: the plugin does not stand in it, and does not start
}

func (p *Pin) refuse(format string, args ...any) error {
	return &child.Refusal{Reason: ReasonLocked, Detail: fmt.Sprintf(format, args...) + "; if it is to run as it is: " + p.Update}
}

// image checks what is executed, before it is.
func (p *Pin) image(digest string) error {
	switch {
	case p == nil:
		return nil
	case p.Entry == nil:
		return p.refuse("is not in the lock file %s", p.File)
	case digest != p.Entry.SHA256:
		return p.refuse("has the SHA-256 checksum %s, and the lock file %s has %s", digest, p.File, p.Entry.SHA256)
	}
	return nil
}

// manifest checks what the process says of itself.
func (p *Pin) manifest(m rpc.Manifest) error {
	if p == nil {
		return nil
	}
	if how := p.Entry.Differs(Contract(), LockOffers(m.Offers)); how != "" {
		return p.refuse("is not as in the lock file %s: it %s", p.File, how)
	}
	return nil
}

// LockOffers gives offers as a lock file has them.
func LockOffers(all []rpc.Offer) []lock.Offer {
	out := make([]lock.Offer, len(all))
	for i, o := range all {
		out[i] = lock.Offer{Kind: o.Kind.String(), Type: o.Type}
		for _, a := range o.Abilities {
			out[i].Abilities = append(out[i].Abilities, a.String())
		}
		for _, w := range o.Wants {
			out[i].Wants = append(out[i].Wants, w.String())
		}
		slices.Sort(out[i].Abilities)
		slices.Sort(out[i].Wants)
	}
	return out
}
