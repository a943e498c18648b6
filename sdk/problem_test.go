package sdk

import (
	"errors"
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

// bare leaves what an operator is shown.
func bare(problems []*Problem) []*Problem {
	for _, p := range problems {
		p.cause = nil
	}
	return problems
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	Warn(t.Context(), "nobody listens")
	ctx, warnings := CollectWarnings(t.Context())
	if len(warnings()) != 0 {
		t.Error("warnings before any was said")
	}
	Warn(ctx, "unwise", "a", 0)
	Warn(ctx, "all of it")
	if got, want := warnings(), []*Problem{{Path: "/a/0", Summary: "unwise"}, {Summary: "all of it"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
