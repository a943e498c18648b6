package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Run runs the suite on a plugin: once on what it says about itself, and once per case. All cases share one process, as
// they do in a host.
func Run(t *testing.T, target Target, cases ...Case) {
	t.Helper()
	t.Run(target.name, func(t *testing.T) {
		c := target.start(t)
		stop := sync.OnceFunc(c.stop)
		t.Cleanup(stop)
		s, err := newSuite(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("manifest", func(t *testing.T) {
			if err := checkManifest(s.manifest, cases); err != nil {
				t.Error(err)
			}
		})
		t.Run("cases", func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.title(), func(t *testing.T) {
					t.Parallel()
					for _, check := range checks {
						t.Run(check.name, func(t *testing.T) {
							if err := check.run(t.Context(), s, c); err != nil {
								t.Error(err)
							}
						})
					}
				})
			}
		})
		t.Run("output", func(t *testing.T) {
			stop()
			if err := s.checkSecrecy(c.log()); err != nil {
				t.Error(err)
			}
			if c.stdout == nil {
				return
			}
			if printed := c.stdout(); printed != "" {
				t.Errorf("the plugin printed to its standard output: %.200q", printed)
			}
		})
	})
}

func (c *Case) title() string {
	title := c.Kind.String() + " " + c.Type
	if c.Name != "" {
		title += " " + c.Name
	}
	return title
}

// suite is a running plugin and what the checks need of it. It is safe for concurrent use.
type suite struct {
	process  *rpc.Process
	manifest rpc.Manifest
	host     *host
	last     atomic.Uint64 // instance

	mu       sync.Mutex
	confided []string // what the plugin was told and must not repeat
}

// minConfided is the least length of a secret that is looked for: shorter ones may stand in a log by chance.
const minConfided = 6

// confide notes secrets.
func (s *suite) confide(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confided = append(s.confided, secrets...)
}

// checkSecrecy: a plugin tells no secret in its log.
func (s *suite) checkSecrecy(log string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.confided {
		if v = strings.TrimSpace(v); len(v) >= minConfided && strings.Contains(log, v) {
			return errors.New("the plugin logs a secret that it was given")
		}
	}
	return nil
}

// offers says whether the manifest has an ability for a case's type.
func (s *suite) offers(c Case, a sdk.Ability) bool {
	return slices.ContainsFunc(s.manifest.Offers, func(o rpc.Offer) bool {
		return o.Kind == c.Kind && o.Type == c.Type && slices.Contains(o.Abilities, a)
	})
}

func newSuite(ctx context.Context, c *connection) (*suite, error) {
	h := &host{}
	p := rpc.NewProcess(c.cc, h)
	m, err := p.Describe(ctx, "plugintest")
	if err != nil {
		return nil, err
	}
	h.offers = m.Offers // nobody asks before the session
	if err := p.OpenSession(ctx); err != nil {
		return nil, err
	}
	return &suite{process: p, manifest: m, host: h}, nil
}

// configure configures a new instance of a case with settings of the suite's choice.
func (s *suite) configure(ctx context.Context, c Case, settings string) (*Instance, []rpc.Diagnostic, error) {
	id := s.last.Add(1)
	s.host.set(id, c, settings)
	for _, v := range c.Secrets {
		s.confide(v)
	}
	for _, v := range c.Setup.Environment {
		s.confide(string(v.Reveal()))
	}
	ds, err := s.process.Configure(ctx, []rpc.Instance{{ID: id, Kind: c.Kind, Type: c.Type, Settings: []byte(settings), Setup: c.Setup}})
	if err != nil {
		return nil, nil, fmt.Errorf("configure: %w", err)
	}
	return &Instance{process: s.process, id: id, c: &c}, ds, nil
}

// instance configures a case as it stands. Warnings are allowed.
func (s *suite) instance(ctx context.Context, c Case) (*Instance, error) {
	i, ds, err := s.configure(ctx, c, c.settings())
	if err != nil {
		return nil, err
	}
	if at := slices.IndexFunc(ds, isFault); at >= 0 {
		return nil, fmt.Errorf("the case's settings are refused: %s %s", ds[at].Path, ds[at].Summary)
	}
	return i, nil
}

func isFault(d rpc.Diagnostic) bool { return !d.Warning }

func (c *Case) settings() string {
	if c.Settings == "" {
		return "{}"
	}
	return c.Settings
}

// with gives the case's settings with one more key.
func (c *Case) with(key string) (string, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.settings()), &m); err != nil || m == nil {
		return "", errors.Join(errors.New("the case's settings are not a JSON object"), err)
	}
	m[key] = json.RawMessage("1")
	raw, err := json.Marshal(m)
	return string(raw), err
}

// checkManifest checks what rpc does not: that schemas are strict, and that everything that is offered has a case.
func checkManifest(m rpc.Manifest, cases []Case) error {
	var faults []error
	if m.Version == "" {
		faults = append(faults, errors.New("the manifest has no version"))
	}
	for _, o := range m.Offers {
		var schema struct {
			Type       string `json:"type"`
			Additional *bool  `json:"additionalProperties"`
		}
		if err := json.Unmarshal(o.SettingsSchema, &schema); err != nil {
			faults = append(faults, fmt.Errorf("%v %s: the settings schema: %w", o.Kind, o.Type, err))
		} else if schema.Type != "object" || schema.Additional == nil || *schema.Additional {
			faults = append(faults, fmt.Errorf("%v %s: the settings schema is not one of an object that refuses unknown keys", o.Kind, o.Type))
		}
		if !slices.ContainsFunc(cases, func(c Case) bool { return c.Kind == o.Kind && c.Type == o.Type }) {
			faults = append(faults, fmt.Errorf("%v %s: there is no case for it", o.Kind, o.Type))
		}
	}
	for _, c := range cases {
		if !slices.ContainsFunc(m.Offers, func(o rpc.Offer) bool { return c.Kind == o.Kind && c.Type == o.Type }) {
			faults = append(faults, fmt.Errorf("%v %s: there is a case, but it is not offered", c.Kind, c.Type))
		}
	}
	return errors.Join(faults...)
}
