package directory

import (
	"errors"
	"fmt"

	"github.com/realmgate/realmgate/sdk"
)

// What a method may fail with, to be found with errors.Is. Any other error means that the store could not answer.
var (
	ErrNotFound       = errors.New("not found")
	ErrExists         = errors.New("already exists")
	ErrConflict       = errors.New("changed in the meantime")                // the expected version is not the current one
	ErrInvalid        = errors.New("invalid")                                // every *InvalidError is one
	ErrBadCredentials = errors.New("bad client credentials")                 // unknown client, wrong secret, disabled principal
	ErrNewerDatabase  = errors.New("the database is newer than this binary") // from Open
)

// InvalidError says which field of a request cannot be accepted, and why. It never repeats the value.
type InvalidError struct{ Field, Reason string }

// Error names the field and the reason.
func (e *InvalidError) Error() string { return e.Field + " " + e.Reason }

// Is makes an InvalidError an [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// wrap prefixes an error once, as the last act of a public method. A denial is an answer and stays as it is.
func wrap(err *error, format string, args ...any) {
	if *err != nil && sdk.AsDenial(*err) == nil {
		*err = fmt.Errorf("directory: "+format+": %w", append(args, *err)...)
	}
}
