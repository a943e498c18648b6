package plugintest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	n := &notes{}
	s := &suite{target: target, life: life, host: &host{notes: n}, last: new(atomic.Uint64), notes: n}
	return s, s.start(ctx)
}

// again gives a suite on a process of its own; what is noted about both is the same.
func (s *suite) again(ctx context.Context) (*suite, error) {
	out := &suite{target: s.target, life: s.life, host: &host{notes: s.notes}, last: s.last, notes: s.notes, cases: s.cases}
	return out, out.start(ctx)
}

// start starts a process. It ends with the suite's notes, if not before.
func (s *suite) start(ctx context.Context) error {
	p, err := s.target.Start(ctx)
	if err != nil {
		return err
	}
	s.notes.started(p)
	s.plugin, s.process = p, rpc.NewProcess(p.Conn, s.host)
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
		s.confide("the value of "+ref, v)
	}
	for name, v := range c.Setup.Environment {
		s.confide("the variable "+name, string(v.Reveal()))
	}
	ds, err := s.process.Configure(ctx, []rpc.Instance{{ID: id, Kind: c.Kind, Type: c.Type, Settings: []byte(settings), Setup: c.Setup}})
	for _, d := range ds {
		s.tells("a diagnostic", d.Summary+"\n"+d.Detail)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("configure: %w", err)
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

// minConfided is the least length of a secret that is looked for: shorter ones may stand in a log by chance.
const minConfided = 7

// notes are what is known of a plugin beyond a single process of it.
type notes struct {
	mu       sync.Mutex
	confided map[string]string // what the plugin was told and must not repeat -> what it is
	leaks    []string
	asked    []string // what must not be asked
	plugins  []*Plugin
	ended    bool // on purpose
}

func (n *notes) started(p *Plugin) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plugins = append(n.plugins, p)
}

// stop stops what was started and runs.
func (n *notes) stop() {
	n.mu.Lock()
	n.ended = true
	plugins := slices.Clone(n.plugins)
	n.mu.Unlock()
	for _, p := range plugins {
		if p.gone() == nil {
			_ = p.Stop() // how it ends is looked at elsewhere
		}
	}
}

// confide notes a secret, and what it is.
func (s *suite) confide(what, secret string) {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if s.notes.confided == nil {
		s.notes.confided = map[string]string{}
	}
	if secret = strings.TrimSpace(secret); len(secret) >= minConfided {
		s.notes.confided[secret] = what
	}
}

// tells notes a text in which a secret stands.
func (s *suite) tells(where, text string) {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if what := s.notes.secretIn(text); what != "" {
		s.notes.leaks = append(s.notes.leaks, where+" has a secret that the plugin was given: "+what)
	}
}

// secretIn says which secret stands in a text, as it is or in base64.
func (n *notes) secretIn(text string) string {
	for v, what := range n.confided {
		encoded := strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(v)), "=")
		if strings.Contains(text, v) || strings.Contains(text, encoded[:len(encoded)-1]) {
			return what
		}
	}
	return ""
}

func (n *notes) ask(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.asked, what) {
		n.asked = append(n.asked, what)
	}
}

// checkAsked: a part asks the host for what its manifest says only.
func (s *suite) checkAsked() error {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	var faults []error
	for _, what := range s.notes.asked {
		faults = append(faults, errors.New(what))
	}
	return errors.Join(faults...)
}

// checkSecrecy: a plugin tells no secret in its log, nor in an error. The processes have ended.
func (s *suite) checkSecrecy() error {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	var faults []error
	for _, p := range s.notes.plugins {
		if what := s.notes.secretIn(p.Log()); what != "" {
			faults = append(faults, fmt.Errorf("the plugin logs a secret that it was given: %s", what))
		}
		if p.Unseen != nil && p.Unseen() > 0 {
			faults = append(faults, fmt.Errorf("the plugin prints too much: %d bytes were not looked at", p.Unseen()))
		}
		if p.Stdout != nil {
			if what := s.notes.secretIn(p.Stdout()); what != "" {
				faults = append(faults, fmt.Errorf("the plugin prints a secret that it was given to its standard output: %s", what))
			}
		}
	}
	slices.Sort(s.notes.leaks)
	for _, l := range slices.Compact(s.notes.leaks) {
		faults = append(faults, errors.New(l))
	}
	return errors.Join(faults...)
}

// checkStdout: the standard output belongs to the handshake. The processes have ended.
func (s *suite) checkStdout() error {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	for _, p := range s.notes.plugins {
		if p.Stdout == nil {
			continue
		}
		if printed := p.Stdout(); printed != "" {
			if s.notes.secretIn(printed) != "" {
				printed = "(with a secret in it)"
			}
			return fmt.Errorf("the plugin printed to its standard output: %.200q", printed)
		}
	}
	return nil
}

// bounded runs f, which has limit to end. What does not end with its context has its process taken away, and is left alone
// if it goes on even then.
func (s *suite) bounded(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- sdk.Guard(func() error { return f(ctx) }) }()
	select {
	case err := <-done:
		return late(ctx, limit, err)
	case <-time.After(limit + 2*endsWithin):
	}
	if s.plugin != nil && s.plugin.Kill != nil {
		s.plugin.Kill()
	}
	select {
	case err := <-done:
		return late(ctx, limit, errors.Join(errors.New("nothing of it ended until the process was killed"), err))
	case <-time.After(endsWithin):
		return fmt.Errorf("not done within %v, and not after the process was killed", limit)
	}
}

// late says of an error that it came with the end of the time.
func late(ctx context.Context, limit time.Duration, err error) error {
	end, _ := ctx.Deadline()
	if err != nil && time.Until(end) < 100*time.Millisecond { // the plugin's clock may be the first to say so
		return fmt.Errorf("not done within %v: %w", limit, err)
	}
	return err
}

// stopped says whether the notes' processes were stopped on purpose.
func (s *suite) stopped() bool {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return s.notes.ended
}
