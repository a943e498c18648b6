package plugintest

import (
	"context"
	"errors"
	"slices"
)

// TB is what [Run] needs of a *testing.T. The package testing is not imported: a host runs the suite too.
type TB[Self any] interface {
	Helper()
	Parallel()
	Context() context.Context
	Cleanup(func())
	Error(...any)
	Fatal(...any)
	Run(name string, f func(Self)) bool
}

// Run runs the suite on a plugin: once on what it says about itself, once per case, and once on its processes. All cases share
// one process, as they do in a host. t is a *testing.T.
func Run[T TB[T]](t T, target Target, cases ...Case) {
	t.Helper()
	t.Run(target.Name, func(t T) {
		life, end := context.WithCancel(context.Background())
		t.Cleanup(end)
		s, err := newSuite(t.Context(), life, target)
		t.Cleanup(s.notes.stop)
		if err != nil {
			t.Fatal(err)
		}
		one := func(name string, check func(context.Context) error) {
			t.Run(name, func(t T) {
				if err := check(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		one("manifest", func(context.Context) error {
			return errors.Join(checkManifest(s.manifest), checkOffered(s.manifest, cases), checkCovered(s.manifest, cases))
		})
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
						if k.of != nil && !k.of(s, c) {
							continue
						}
						t.Run(k.name, func(t T) {
							if err := k.run(t.Context(), s, c); err != nil {
								t.Error(err)
							}
						})
					}
				})
			}
		})
		for _, k := range processChecks {
			if k.of == nil || k.of(s, first(cases)) {
				one(k.name, func(ctx context.Context) error { return k.run(ctx, s, first(cases)) })
			}
		}
		one("output", func(context.Context) error {
			s.notes.stop()
			return errors.Join(s.checkSecrecy(), s.checkStdout(), s.checkAsked())
		})
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
