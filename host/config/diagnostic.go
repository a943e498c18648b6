package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Position is a place in a configuration file. The zero Position is the place of what no file says.
type Position struct {
	File         string
	Line, Column int // from 1
}

// String gives file:line:column.
func (p Position) String() string {
	if p.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
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

// Place gives file:line:column, as far as it is known, or what is to blame instead of a file; empty if nothing is.
func (d Diagnostic) Place() string {
	if d.File != "" && d.Line > 0 {
		return fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
	}
	return cmp.Or(d.File, d.Source)
}

// String renders the diagnostic for a terminal: place and summary, then the line, then the detail.
func (d Diagnostic) String() string {
	var b strings.Builder
	if at := d.Place(); at != "" {
		b.WriteString(at + ": ")
	}
	if d.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(d.Summary)
	if d.Snippet != "" {
		fmt.Fprintf(&b, "\n  %d | %s", d.Line, d.Snippet)
	}
	if d.Detail != "" {
		b.WriteString("\n  " + strings.ReplaceAll(d.Detail, "\n", "\n  "))
	}
	return b.String()
}

// Error is String, so that a Diagnostic can be returned as an error.
func (d Diagnostic) Error() string { return d.String() }

// Diagnostics are the faults of one run, sorted by file, line and column.
type Diagnostics []Diagnostic

// Err gives an error that lists the faults which are no warnings, or nil if there is none.
func (ds Diagnostics) Err() error {
	var bad failure
	for _, d := range ds {
		if !d.Warning {
			bad = append(bad, d)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}

// Write renders all diagnostics, warnings too, one below the other.
func (ds Diagnostics) Write(w io.Writer) error {
	for _, d := range ds {
		if _, err := io.WriteString(w, d.String()+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// Sort puts the diagnostics in the order of their places and drops what was said twice.
func (ds Diagnostics) Sort() Diagnostics {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Summary, b.Summary))
	})
	return slices.Compact(ds)
}

// failure are the faults that make a configuration unusable.
type failure []Diagnostic

func (f failure) Error() string {
	lines := make([]string, len(f))
	for i, d := range f {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Diagnostic.
func (f failure) Unwrap() []error {
	out := make([]error, len(f))
	for i, d := range f {
		out[i] = d
	}
	return out
}
