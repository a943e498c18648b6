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
	got := Problems(errors.Join(At(inner, "mapping", 3), At(errors.New("odd"), "a/b~c")))
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
