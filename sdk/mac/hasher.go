package mac

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// Sum stands for values.
type Sum [sha256.Size]byte

// Hasher makes sums with a secret of its own. Nobody who does not know the secret can find two lists of values with one sum, or test
// which ones are remembered. It is safe for concurrent use.
type Hasher struct{ lists sync.Pool }

// List is a list of values under way to its sum.
type List struct {
	hasher *Hasher
	mac    hash.Hash
	text   []byte
	sum    Sum
}

// New makes a hasher.
func New() *Hasher {
	secret := make([]byte, sha256.BlockSize)
	_, _ = rand.Read(secret) // never fails
	h := &Hasher{}
	h.lists.New = func() any { return &List{hasher: h, mac: hmac.New(sha256.New, secret)} }
	return h
}

// Begin begins a list. What is added to the lists of one hasher are numbers and texts in one order, the same each time.
func (h *Hasher) Begin() *List { return h.lists.Get().(*List) }

// Number adds a number.
func (l *List) Number(n uint64) { l.text = binary.BigEndian.AppendUint64(l.text, n) }

// Text adds a text of less than 4 GiB. Its length goes before it, so that no two lists of texts are one to the hash.
func (l *List) Text(part string) {
	l.length(len(part))
	l.text = append(l.text, part...)
}

// Bytes adds a text that is not a string.
func (l *List) Bytes(part []byte) {
	l.length(len(part))
	l.text = append(l.text, part...)
}

func (l *List) length(n int) { l.text = binary.BigEndian.AppendUint32(l.text, uint32(n)) }

// Sum ends the list, which must not be used any more: another one takes its memory.
func (l *List) Sum() Sum {
	l.mac.Reset()
	_, _ = l.mac.Write(l.text) // never fails
	l.mac.Sum(l.sum[:0])
	sum := l.sum
	clear(l.text)
	l.text = l.text[:0]
	l.hasher.lists.Put(l)
	return sum
}
