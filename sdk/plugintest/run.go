package plugintest

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ofTest is the most that a check takes in a test: the machine may be busy.
const ofTest = 2 * time.Minute

// TB is what [Run] needs of a *testing.T. The package testing is not imported: a host runs the suite too.
type TB[Self any] interface {
	Helper()
	Parallel()
	Context() context.Context
	Cleanup(func())
	Error(...any)
	Fatal(...any)
	Skip(...any)
	Run(name string, f func(Self)) bool
}

// Run runs the suite on a plugin: once on what it says about itself, once per case, and once on its processes. All cases share
// one process, as they do in a host. A check that does not end is given up, and a plugin that ends is started again. t is a *testing.T.
func Run[T TB[T]](t T, target Target, cases ...Case) {
	t.Helper()
	t.Run(target.Name, func(t T) {
		life, end := context.WithCancel(context.Background())
		t.Cleanup(end)
		r := &runner{step: ofTest, notes: &notes{}}
		t.Cleanup(r.notes.stop)
		if err := r.start(t.Context(), life, target); err != nil {
			t.Fatal(err)
		}
		one := func(t T, k check, c Case) {
			if s, _ := r.suite(); k.of != nil && !k.of(s, c) {
				return
			}
			t.Run(k.name, func(t T) {
				err := r.run(t.Context(), k, c)
				if unseenOnly(err) {
					t.Skip(r.notes.masked(err.Error()))
				}
				if err != nil {
					t.Error(r.notes.masked(err.Error()))
				}
			})
		}
		s, _ := r.suite()
		one(t, check{name: "manifest", run: func(context.Context, *suite, Case) error {
			return errors.Join(checkManifest(s.manifest), checkOffered(s.manifest, cases), checkCovered(s.manifest, cases))
		}}, Case{})
		cases = slices.Clone(cases)
		for n, c := range cases {
			if o, ok := s.offer(c); ok {
				cases[n].complete(o)
				s.cases = append(s.cases, cases[n])
			}
		}
		t.Run("cases", func(t T) {
			for _, c := range cases {
				t.Run(c.title(), func(t T) {
					t.Parallel()
					for _, k := range checks {
						one(t, k, c)
					}
				})
			}
		})
		for _, k := range processChecks {
			one(t, k, first(cases))
		}
		one(t, check{name: "output", run: func(context.Context, *suite, Case) error {
			r.notes.stop()
			return errors.Join(r.notes.checkSecrecy(), r.notes.checkStdout(), r.notes.checkAsked())
		}}, Case{})
	})
}

// first gives the first case; one of no kind if there is none.
func first(cases []Case) Case {
	if len(cases) == 0 {
		return Case{}
	}
	return cases[0]
}

func (c *Case) title() string {
	title := c.Kind.String() + " " + c.Type
	if c.Name != "" {
		title += " " + c.Name
	}
	return title
}
