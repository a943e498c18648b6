package verified

import (
	"errors"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

const maxAge = time.Hour

// Settings are the block verified_tokens of a part. A part without the block has the defaults: a field of a settings struct is a
// pointer, and [New] takes nil.
type Settings struct {
	MaxAge sdk.Duration `json:"max_age" default:"PT5M" doc:"for how long, at most PT1H and never beyond the token's expiry, that a token's signature was found good is remembered; PT0S: each token's signature is checked each time. A process remembers the 80000 tokens that were shown last, whichever of its parts they were shown to"`
}

// defaults are those of the tags.
var defaults = Settings{MaxAge: sdk.Duration(5 * time.Minute)}

// check blames the keys of the block.
func (s Settings) check() error {
	if s.MaxAge.Std() > maxAge {
		return sdk.At(errors.New("that a signature was good is remembered for PT1H at most"), "max_age")
	}
	return nil
}
