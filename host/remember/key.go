package remember

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// key stands for a request to a realm of a generation. What its answer depends on beside, the realm's epoch, is no part of it: the
// answer of a new epoch takes the place of the one before.
type key [sha256.Size]byte

// maxKeyed bounds what of a request goes into its key, in bytes. Longer ones are not remembered: hashing would cost more than it
// saves, and nobody has such tokens.
const maxKeyed = 16 << 10

// keyed says whether a request can be remembered: it has a credential, and not a huge one.
func keyed(r sdk.Request) bool {
	return r.Scheme != "" && r.Token != "" && r.HTTP == nil && len(r.Scheme)+len(r.Token)+len(r.PeerCertificate) <= maxKeyed
}

// keys makes keys. Nobody who does not know the process's key can find two requests with one key, or test what is remembered.
type keys struct{ states sync.Pool }

// state is what one key takes to be made, for use again.
type state struct {
	mac  hash.Hash
	text []byte
	sum  key
}

func newKeys() *keys {
	secret := make([]byte, sha256.BlockSize)
	_, _ = rand.Read(secret) // never fails
	k := &keys{}
	k.states.New = func() any { return &state{mac: hmac.New(sha256.New, secret)} }
	return k
}

// of gives the key of a request to a realm. Every part of varying length has its length before it, so that no two lists of parts
// make one text.
func (k *keys) of(section uint64, realm string, r sdk.Request) key {
	s := k.states.Get().(*state)
	b := binary.BigEndian.AppendUint64(s.text[:0], section)
	b = appendPart(b, realm)
	b = appendPart(b, r.Scheme)
	b = appendPart(b, r.Token)
	b = appendPart(b, r.PeerCertificate)
	s.mac.Reset()
	_, _ = s.mac.Write(b) // never fails
	s.mac.Sum(s.sum[:0])
	sum := s.sum
	clear(b)
	s.text = b
	k.states.Put(s)
	return sum
}

func appendPart[T string | []byte](b []byte, part T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part))) // at most maxKeyed, or a realm's name
	return append(b, part...)
}
