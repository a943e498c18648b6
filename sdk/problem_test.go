package sdk

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	if At(nil, "x") != nil || Problems(nil) != nil {
		t.Error("no error has a problem")
	}
	inner := errors.Join(At(errors.New("bad"), "regex"), errors.New("whole"), &Problem{Path: "/key", Summary: "s", Sensitive: true})
	odd := errors.New("odd")
	joined := errors.Join(At(inner, "mapping", 3), At(odd, "a/b~c"))
	if !errors.Is(joined, odd) {
		t.Error("a place hides the error that it is given to")
	}
	got := bare(Problems(joined))
	want := []*Problem{
		{Path: "/mapping/3/regex", Summary: "bad"}, {Path: "/mapping/3", Summary: "whole"},
		{Path: "/mapping/3/key", Summary: "s", Sensitive: true}, {Path: "/a~1b~0c", Summary: "odd"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if s := want[0].Error(); s != "/mapping/3/regex: bad" {
		t.Error(s)
	}
	if s := (&Problem{Summary: "x"}).Error(); s != "x" {
		t.Error(s)
	}
}

// Words around faults are never lost, wherever the faults stand.
func TestProblemsKeepTheWordsAround(t *testing.T) {
	t.Parallel()
	a, b, plain := At(errors.New("bad"), "a"), At(errors.New("worse"), "b"), errors.New("plain")
	for name, c := range map[string]struct {
		err  error
		want []*Problem
	}{
		"several with a nil":    {several{nil, a}, []*Problem{{Path: "/a", Summary: "bad"}}},
		"around one":            {fmt.Errorf("words: %w, and more", a), []*Problem{{Path: "/a", Summary: "words: bad, and more"}}},
		"around a join":         {fmt.Errorf("words: %w", errors.Join(a, b)), []*Problem{{Path: "/a", Summary: "words: bad"}, {Path: "/b", Summary: "words: worse"}}},
		"around a mixed join":   {fmt.Errorf("words: %w", errors.Join(a, plain)), []*Problem{{Path: "/a", Summary: "words: bad"}, {Summary: "words: plain"}}},
		"around a join twice":   {fmt.Errorf("far: %w", fmt.Errorf("near: %w", errors.Join(a, b))), []*Problem{{Path: "/a", Summary: "far: near: bad"}, {Path: "/b", Summary: "far: near: worse"}}},
		"around no place":       {fmt.Errorf("words: %w", errors.Join(plain, plain)), []*Problem{{Summary: "words: plain\nplain"}}},
		"around two":            {fmt.Errorf("%w, then %w", a, plain), []*Problem{{Path: "/a", Summary: "bad, then plain"}, {Summary: "/a: bad, then plain"}}},
		"around two, unplaced":  {fmt.Errorf("%w, then %w", plain, plain), []*Problem{{Summary: "plain, then plain"}}},
		"of one, in a join":     {errors.Join(fmt.Errorf("words: %w", errors.Join(a)), b), []*Problem{{Path: "/a", Summary: "words: bad"}, {Path: "/b", Summary: "worse"}}},
		"around what may leak":  {fmt.Errorf("words: %w", &Problem{Summary: "bad", Sensitive: true}), []*Problem{{Summary: "words: bad", Sensitive: true}}},
		"that do not repeat it": {hides{a}, []*Problem{{Path: "/a", Summary: "something else"}}},
		"of a place itself":     {At(fmt.Errorf("words: %w", errors.Join(a, b)), "in", 0), []*Problem{{Path: "/in/0/a", Summary: "words: bad"}, {Path: "/in/0/b", Summary: "words: worse"}}},
	} {
		if got := bare(Problems(c.err)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if err := At(fmt.Errorf("words: %w", errors.Join(a, plain)), "in"); !errors.Is(err, plain) {
		t.Error("a place hides what is joined below it")
	}
}

// A place hides no error, be it one that says no more than what it wraps.
func TestPlacesHideNoError(t *testing.T) {
	t.Parallel()
	p := &PanicError{Value: "x"}
	for _, err := range []error{kept{p}, errors.Join(kept{p}), fmt.Errorf("words: %w", errors.Join(At(kept{p}, "a")))} {
		if at := At(err, "in"); !errors.As(at, new(kept)) || !errors.Is(at, p) {
			t.Errorf("%v hides what it is about", at)
		}
	}
}

// kept is an error that says what it wraps, and no more.
type kept struct{ error }

func (k kept) Unwrap() error { return k.error }

// hides is an error that does not repeat what it wraps.
type hides struct{ error }

func (hides) Error() string   { return "something else" }
func (h hides) Unwrap() error { return h.error }

// bare leaves what an operator is shown.
func bare(problems []*Problem) []*Problem {
	for _, p := range problems {
		p.cause = nil
	}
	return problems
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	Warn(t.Context(), errors.New("nobody listens"))
	ctx, warnings := CollectWarnings(t.Context())
	if len(warnings()) != 0 {
		t.Error("warnings before any was said")
	}
	Warn(ctx, errors.Join(At(errors.New("unwise"), "a", 0), At(fmt.Errorf("%d%% of it", 5), "b")))
	Warn(ctx, errors.New("all of it"))
	Warn(ctx, nil)
	if got, want := bare(warnings()), []*Problem{{Path: "/a/0", Summary: "unwise"}, {Path: "/b", Summary: "5% of it"}, {Summary: "all of it"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

// several is a list of errors of somebody else, which may have a nil in it.
type several []error

func (s several) Unwrap() []error { return s }

func (s several) Error() string { return s[len(s)-1].Error() }
