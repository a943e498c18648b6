package lock

import "fmt"

// State says whether plugins are locked.
type State struct {
	File    string // the lock file, or where it would be
	InForce bool   // there is one
	Entries int    // plugins in it
	Digest  string // of the file, see [File.Digest]; empty without one
	Command string // writes it anew, for messages
}

// String says it in a sentence.
func (s State) String() string {
	switch {
	case !s.InForce:
		return "plugins are not locked: there is no lock file " + s.File
	case s.Entries == 1:
		return "plugins are locked: nothing runs but the one in the lock file " + s.File
	}
	return fmt.Sprintf("plugins are locked: nothing runs but the %d in the lock file %s", s.Entries, s.File)
}

// GoneError says that the lock file is gone which was in force: without it every plugin would run that is there.
type GoneError struct{ Was State }

// Error says what to do.
func (e *GoneError) Error() string {
	return fmt.Sprintf("the lock file %s is gone: without it every plugin runs that is there\nBring it back, or write it anew: %s.", e.Was.File, e.Was.Command)
}
