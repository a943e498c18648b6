package roles

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/dlclark/regexp2/v2"
)

const (
	// maxPattern bounds a regular expression in bytes.
	maxPattern = 4096
	// matchTimeout bounds one search of the backtracking engine.
	matchTimeout = 100 * time.Millisecond
)

// errTimeout says that the backtracking engine gave up: the input is a catastrophic one for the expression.
var errTimeout = errors.New("the regular expression took too long")

// match is where a pattern matched: byte offsets of the groups in pairs as in the regexp package, group 0 first, -1 for a
// group that took no part.
type match []int

// engine searches with one regular expression.
type engine interface {
	// full says whether the expression matches the whole of s.
	full(s string) (bool, error)
	// all calls f for the matches from left to right until f answers false. An empty match directly behind another one is
	// left out, so that .* matches once.
	all(s string, f func(match) bool) error
	// groups gives the number of the last group.
	groups() int
	// group gives the number of a named group.
	group(name string) (int, bool)
}

// compile takes RE2, whose running time is linear, where it can, and a backtracking engine with a time-out for what RE2
// lacks, such as look-ahead.
func compile(expr string) (engine, error) {
	if len(expr) > maxPattern {
		return nil, fmt.Errorf("the regular expression is longer than %d bytes", maxPattern)
	}
	if e, err := compileLinear(expr); err == nil {
		return e, nil
	}
	return compileBacktracking(expr)
}

// linear is Go's own engine.
type linear struct{ search, whole *regexp.Regexp }

func compileLinear(expr string) (*linear, error) {
	search, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	whole, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, err
	}
	return &linear{search: search, whole: whole}, nil
}

func (l *linear) full(s string) (bool, error) { return l.whole.MatchString(s), nil }

func (l *linear) all(s string, f func(match) bool) error {
	for _, m := range l.search.FindAllStringSubmatchIndex(s, -1) {
		if !f(m) {
			return nil
		}
	}
	return nil
}

func (l *linear) groups() int { return l.search.NumSubexp() }

func (l *linear) group(name string) (int, bool) {
	i := l.search.SubexpIndex(name)
	return i, i >= 0
}

// backtracking is a Perl-like engine, held to RE2's reading of what both have.
type backtracking struct {
	search, whole *regexp2.Regexp
	last          int
}

func compileBacktracking(expr string) (*backtracking, error) {
	search, err := backtrack(expr)
	if err != nil {
		return nil, err
	}
	whole, err := backtrack(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, err
	}
	b := &backtracking{search: search, whole: whole}
	for _, n := range search.GetGroupNumbers() {
		b.last = max(b.last, n)
	}
	return b, nil
}

func backtrack(expr string) (*regexp2.Regexp, error) {
	re, err := regexp2.Compile(expr, regexp2.RE2, regexp2.OptionMaintainCaptureOrder())
	if err != nil {
		return nil, fmt.Errorf("the regular expression does not compile: %w", err)
	}
	re.MatchTimeout = matchTimeout
	return re, nil
}

// A search fails only for its time-out or for the bound of its stack, and the engine's text repeats the input.
func (b *backtracking) full(s string) (bool, error) {
	ok, err := b.whole.MatchString(s)
	if err != nil {
		return false, errTimeout
	}
	return ok, nil
}

func (b *backtracking) all(s string, f func(match) bool) error {
	end := -1
	m, err := b.search.FindStringMatch(s)
	for ; err == nil && m != nil; m, err = b.search.FindNextMatch(m) {
		at, n := m.ByteRange()
		if n == 0 && at == end {
			continue
		}
		end = at + n
		if !f(b.offsets(m)) {
			return nil
		}
	}
	if err != nil {
		return errTimeout
	}
	return nil
}

func (b *backtracking) offsets(m *regexp2.Match) match {
	out := make(match, 2*(b.last+1))
	for i := range b.last + 1 {
		out[2*i], out[2*i+1] = -1, -1
		if g := m.GroupByNumber(i); g != nil && len(g.Captures) > 0 {
			at, n := g.ByteRange()
			out[2*i], out[2*i+1] = at, at+n
		}
	}
	return out
}

func (b *backtracking) groups() int { return b.last }

func (b *backtracking) group(name string) (int, bool) {
	i := b.search.GroupNumberFromName(name)
	return i, i >= 0
}
