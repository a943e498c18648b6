package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// A server that fails again and again is left alone for a while.
func ExampleOutbound_Do() {
	outbound := breaker.OutboundOf(context.Background()) // in a constructor: those of the process
	asked := 0
	for range 10 {
		err := outbound.Do(context.Background(), "acme", "db.example.com", func(context.Context) error {
			asked++
			return errors.New("the database does not answer")
		})
		if errors.Is(err, breaker.ErrOpen) {
			fmt.Println("left alone after", asked)
			break
		}
	}
	// Output: left alone after 5
}
