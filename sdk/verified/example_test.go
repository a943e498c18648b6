package verified_test

import (
	"context"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/verified"
)

// realm gives a context in which a realm is served whose epoch is known, as the serving side does.
type realm struct{ sdk.UnimplementedCall }

func (realm) Epoch() uint64 { return 7 }

// The signature of a token that comes again is not checked again.
func ExampleMemory_Verify() {
	memory, err := verified.New(context.Background(), nil) // in a constructor
	if err != nil {
		panic(err)
	}
	checks := 0
	good := func() bool { checks++; return true }
	ctx := sdk.WithCall(context.Background(), realm{})
	token := verified.Token{Realm: "r", Keys: "key-1", Text: "header.claims.signature", Now: time.Now(), Expires: time.Now().Add(time.Hour)}
	fmt.Println(memory.Verify(ctx, token, good), memory.Verify(ctx, token, good), checks)
	token.Realm = "another"
	fmt.Println(memory.Verify(ctx, token, good), checks)
	// Output:
	// true true 1
	// true 2
}
