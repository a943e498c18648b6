package config

// Position is a place in a configuration file. The zero Position is the place of what no file says.
type Position struct {
	File         string
	Line, Column int // from 1
}

// Diagnostic is one fault of a configuration, at the place of the key that is to blame.
type Diagnostic struct {
	Warning      bool   // the configuration can be used all the same
	Summary      string // one line
	Detail       string // what to do about it; may be empty
	File         string // empty if no file is to blame
	Line, Column int    // from 1; 0 if the fault has no place in File
	Snippet      string // the line, with values hidden where they might be secrets; may be empty
	Source       string // the environment variable or flag that is to blame instead of a file
}

// Diagnostics are the faults of one run, sorted by file, line and column.
type Diagnostics []Diagnostic
