package plugintest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/realmgate/realmgate/sdk/redact"
)

// maxForms is how many secrets of one name are looked for in all their forms; more are looked for as they are.
const maxForms = 32

// notes are what is known of a plugin beyond a single process of it. They are safe for concurrent use.
type notes struct {
	mu       sync.Mutex
	secrets  redact.Set          // what the plugin was told or made and must not repeat, by what it is
	confided map[string]struct{} // those that are there
	named    map[string]int      // how many have a name
	leaks    []string
	asked    []string // what must not be asked
	plugins  []*Plugin
	ended    bool // on purpose
}

func (n *notes) started(s *suite, p *Plugin) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s.plugin, n.plugins = p, append(n.plugins, p)
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
func (n *notes) confide(what, secret string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.confided == nil {
		n.confided, n.named = map[string]struct{}{}, map[string]int{}
	}
	secret = strings.TrimSpace(secret)
	if _, known := n.confided[secret]; known {
		return
	}
	n.confided[secret] = struct{}{}
	n.named[what]++
	for _, part := range redact.Parts(secret) {
		if n.named[what] > maxForms {
			n.secrets.AddPlain(what, part)
		} else {
			n.secrets.Add(what, part)
		}
	}
}

// tells notes a text in which a secret stands.
func (n *notes) tells(where, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if what, found := n.secrets.Find(text); found {
		n.leaks = append(n.leaks, where+" has a secret that the plugin was given or made: "+what)
	}
}

func (n *notes) ask(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.asked, what) {
		n.asked = append(n.asked, what)
	}
}

// checkAsked: a part asks the host for what its manifest says only.
func (n *notes) checkAsked() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var faults []error
	for _, what := range n.asked {
		faults = append(faults, errors.New(what))
	}
	return errors.Join(faults...)
}

// checkSecrecy: a plugin tells no secret in its log, nor in an error. The processes have ended.
func (n *notes) checkSecrecy() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := slices.Clone(n.leaks)
	for _, p := range n.plugins {
		if what, found := n.secrets.Find(p.Log()); found {
			all = append(all, "the plugin logs a secret that it was given or made: "+what)
		}
		if p.Unseen != nil && p.Unseen() > 0 {
			all = append(all, fmt.Sprintf("the plugin prints too much: %d bytes were not looked at", p.Unseen()))
		}
		if p.Stdout == nil {
			continue
		}
		if what, found := n.secrets.Find(p.Stdout()); found {
			all = append(all, "the plugin prints a secret that it was given or made to its standard output: "+what)
		}
	}
	slices.Sort(all)
	var faults []error
	for _, l := range slices.Compact(all) { // of many processes, each says the same
		faults = append(faults, errors.New(l))
	}
	return errors.Join(faults...)
}

// checkStdout: the standard output belongs to the handshake. The processes have ended.
func (n *notes) checkStdout() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.plugins {
		if p.Stdout == nil {
			continue
		}
		if printed := p.Stdout(); printed != "" {
			return fmt.Errorf("the plugin printed to its standard output: %.200q", printed)
		}
	}
	return nil
}

// masked takes the secrets that are known out of a text.
func (n *notes) masked(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.secrets.Hide(text, "[hidden]")
}
