package sdk

import "errors"

// ErrBusy is in the chain of an error that says that a part did not even try: more was asked than it asks others for, by this
// caller or by all. The decision is unavailable as with any error, but it tells nothing of whether the part works, so that a
// flood of bad tokens does not make the host take a good plugin for a broken one.
var ErrBusy = errors.New("too much is asked")
