package remember

import (
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/mac"
)

// key stands for a request to a realm of a generation. What its answer depends on beside, the realm's epoch, is no part of it: the
// answer of a new epoch takes the place of the one before.
type key = mac.Sum

// maxKeyed bounds what of a request goes into its key, in bytes. Longer ones are not remembered: hashing would cost more than it
// saves, and nobody has such tokens.
const maxKeyed = 16 << 10

// keyed says whether a request can be remembered: it has a credential, and not a huge one.
func keyed(r sdk.Request) bool {
	return r.Scheme != "" && r.Token != "" && r.HTTP == nil && len(r.Scheme)+len(r.Token)+len(r.PeerCertificate) <= maxKeyed
}

// keys makes keys, with a secret of the process.
type keys struct{ hasher *mac.Hasher }

func newKeys() keys { return keys{mac.New()} }

// of gives the key of a request to a realm.
func (k keys) of(section uint64, realm string, r sdk.Request) key {
	l := k.hasher.Begin()
	l.Number(section)
	l.Text(realm)
	l.Text(r.Scheme)
	l.Text(r.Token)
	l.Bytes(r.PeerCertificate)
	return l.Sum()
}
