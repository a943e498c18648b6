package verified

import (
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

const (
	maxAge     = time.Hour
	maxEntries = 1_000_000
)

// Settings are the block verified_tokens of a part. A part without the block has the defaults: a field of a settings struct is a
// pointer, and [New] takes nil.
type Settings struct {
	MaxAge  sdk.Duration `json:"max_age" default:"PT5M" doc:"for how long, at most PT1H and never beyond the token's expiry, that a token's signature was found good is remembered; PT0S: each token's signature is checked each time"`
	Entries int          `json:"entries" default:"10000" doc:"how many tokens are remembered, those that were shown last; about 200 bytes each"`
}

// defaults are those of the tags.
var defaults = Settings{MaxAge: sdk.Duration(5 * time.Minute), Entries: 10_000}

// check blames the keys of the block.
func (s Settings) check() error {
	var faults []error
	if s.MaxAge.Std() > maxAge {
		faults = append(faults, sdk.At(errors.New("that a signature was good is remembered for PT1H at most"), "max_age"))
	}
	if s.Entries < 1 || s.Entries > maxEntries {
		faults = append(faults, sdk.At(fmt.Errorf("between 1 and %d tokens are remembered; max_age = \"PT0S\" remembers none", maxEntries), "entries"))
	}
	return errors.Join(faults...)
}
