package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/realmgate/realmgate/host/config"
)

// A reason that many realms have is told of once.
func TestUnserved(t *testing.T) {
	t.Parallel()
	down := errors.New("it is down")
	many := map[string]error{}
	for n := range 12 {
		many[fmt.Sprintf("r%02d", n)] = down
	}
	for want, state := range map[string]map[string]error{
		"[]":                                  {"a": nil},
		"[realm b is not served: it is down]": {"a": nil, "b": down},
		"[realms a, c are not served: it is down realm b is not served: it is up]":                        {"a": down, "b": errors.New("it is up"), "c": down},
		"[realms r00, r01, r02, r03, r04, r05, r06, r07, r08, r09 and 2 more are not served: it is down]": many,
	} {
		if got := fmt.Sprint(unserved(&config.Config{}, state)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
