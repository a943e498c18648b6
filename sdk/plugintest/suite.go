package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// suite is a running plugin and what the checks need of it. It is safe for concurrent use, but for its start.
type suite struct {
	target   Target
	life     context.Context // of sessions
	plugin   *Plugin
	process  *rpc.Process
	manifest rpc.Manifest
	host     *host
	last     *atomic.Uint64 // instance
	notes    *notes
	cases    []Case // of which chains of stages are made
	unary    bool   // stages are called over the unary services, although the plugin may take legs
}

// newSuite starts the plugin. Its sessions end with life.
func newSuite(ctx, life context.Context, target Target) (*suite, error) {
	s := idle(life, target, &notes{})
	return s, s.start(ctx)
}

// idle gives a suite that has not been started.
func idle(life context.Context, target Target, n *notes) *suite {
	return &suite{target: target, life: life, host: &host{notes: n}, last: new(atomic.Uint64), notes: n}
}

// next gives a suite for a process of its own; what is noted about both is the same.
func (s *suite) next() *suite {
	out := idle(s.life, s.target, s.notes)
	out.last, out.cases = s.last, s.cases
	return out
}

// again gives a suite on a process of its own.
func (s *suite) again(ctx context.Context) (*suite, error) {
	out := s.next()
	return out, out.start(ctx)
}

// start starts a process. It ends with the suite's notes, if not before.
func (s *suite) start(ctx context.Context) error {
	p, err := s.target.Start(ctx)
	if err != nil {
		return err
	}
	s.notes.started(s, p)
	s.process = rpc.NewProcess(p.Conn, s.host)
	if p.Kill != nil { // the opening of a stream cannot be given a time
		defer context.AfterFunc(ctx, p.Kill)()
	}
	if s.manifest, err = s.process.Describe(ctx, "plugintest"); err != nil {
		return fmt.Errorf("it does not describe itself: %w", err)
	}
	s.host.offers = s.manifest.Offers // nobody asks before the session
	return s.process.OpenSession(s.life)
}

// offer gives what the manifest says of a case's type.
func (s *suite) offer(c Case) (rpc.Offer, bool) {
	at := slices.IndexFunc(s.manifest.Offers, func(o rpc.Offer) bool { return o.Kind == c.Kind && o.Type == c.Type })
	if at < 0 {
		return rpc.Offer{}, false
	}
	return s.manifest.Offers[at], true
}

// offers says whether the manifest has an ability for a case's type.
func (s *suite) offers(c Case, a sdk.Ability) bool {
	o, _ := s.offer(c)
	return slices.Contains(o.Abilities, a)
}

// configure configures a new instance of a case with settings of the suite's choice.
func (s *suite) configure(ctx context.Context, c Case, settings string) (*Instance, []rpc.Diagnostic, error) {
	id := s.last.Add(1)
	s.host.set(id, c, settings)
	for ref, v := range c.Secrets {
		s.notes.confide("the value of "+ref, v)
	}
	for name, v := range c.Setup.Environment {
		s.notes.confide("the variable "+name, string(v.Reveal()))
	}
	ds, err := s.process.Configure(ctx, []rpc.Instance{{ID: id, Kind: c.Kind, Type: c.Type, Settings: []byte(settings), Setup: c.Setup}})
	for _, d := range ds {
		s.notes.tells("a diagnostic", d.Path+"\n"+d.Summary+"\n"+d.Detail)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("configure: %w", err)
	}
	for _, d := range ds { // no settings make it right
		switch {
		case d.Code == rpc.CodePanic:
			return nil, nil, fmt.Errorf("the constructor panics: %s", told(d))
		case d.Code == rpc.CodeDeadline:
			return nil, nil, fmt.Errorf("the constructor takes longer than there is time for it: %s", told(d))
		}
	}
	return &Instance{process: s.process, suite: s, id: id, c: &c}, ds, nil
}

// instance configures a case as it stands. Warnings are allowed.
func (s *suite) instance(ctx context.Context, c Case) (*Instance, error) {
	i, ds, err := s.configure(ctx, c, c.settings())
	if err != nil {
		return nil, err
	}
	if refused := faults(ds); refused != "" {
		return nil, fmt.Errorf("the case's settings are refused: %s", refused)
	}
	return i, nil
}

func told(d rpc.Diagnostic) string { return strings.TrimSpace(d.Path + " " + d.Summary) }

// faults tells of all faults among diagnostics; empty if there are none.
func faults(ds []rpc.Diagnostic) string {
	var all []string
	for _, d := range ds {
		if isFault(d) {
			all = append(all, told(d))
		}
	}
	return strings.Join(all, "; ")
}

func isFault(d rpc.Diagnostic) bool { return !d.Warning }

func (s *suite) release(ctx context.Context, i *Instance) error {
	return s.process.Release(ctx, []uint64{i.id})
}

func (c *Case) settings() string {
	if c.Settings == "" {
		return "{}"
	}
	return c.Settings
}

// object gives the case's settings by key.
func (c *Case) object() (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.settings()), &m); err != nil || m == nil {
		return nil, errors.Join(errors.New("the case's settings are not a JSON object"), err)
	}
	return m, nil
}

// with gives the case's settings with another value of a key; without the key if it is nil.
func (c *Case) with(key string, value json.RawMessage) (string, error) {
	m, err := c.object()
	if err != nil {
		return "", err
	}
	if m[key] = value; value == nil {
		delete(m, key)
	}
	raw, err := json.Marshal(m)
	return string(raw), err
}

// kill takes the process of a suite away, which may be starting.
func (s *suite) kill() {
	s.notes.mu.Lock()
	p := s.plugin
	s.notes.mu.Unlock()
	if p != nil && p.Kill != nil {
		p.Kill()
	}
}

// stopped says whether the notes' processes were stopped on purpose.
func (s *suite) stopped() bool {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return s.notes.ended
}
