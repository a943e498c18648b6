package keyset_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/realmgate/realmgate/sdk/keyset"
)

// The keys of a folder take turns by the clock alone.
func Example() {
	parent, err := os.MkdirTemp("", "keys")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(parent) }()
	dir, now := filepath.Join(parent, "keys"), time.Now()

	first, err := keyset.Generate(dir, keyset.NewKeySpec{Algorithm: keyset.EdDSA}, now)
	if err != nil {
		panic(err)
	}
	next, err := keyset.Rotate(dir, keyset.Rotation{Wait: time.Hour, Overlap: 24 * time.Hour}, now)
	if err != nil {
		panic(err)
	}
	keys, err := keyset.Load(dir, now)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(keys), keys[0].ID == first.ID, keys[1].ID == next.ID)
	for _, s := range keyset.States([]keyset.Entry{keys[0].Entry, keys[1].Entry}, now) {
		fmt.Println(s)
	}
	keys, err = keyset.Load(dir, now.Add(26*time.Hour)) // the first one has retired
	fmt.Println(len(keys), err)
	// Output:
	// 2 true true
	// signing
	// published
	// 1 <nil>
}

func ExampleID() {
	key, err := keyset.NewKey(keyset.ES256, 0)
	if err != nil {
		panic(err)
	}
	id, err := keyset.ID(key.Public())
	fmt.Println(len(id), err)
	algorithm, err := keyset.Algorithm(key.Public())
	fmt.Println(algorithm, err)
	// Output:
	// 43 <nil>
	// ES256 <nil>
}
