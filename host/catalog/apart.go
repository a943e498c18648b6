package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk"
)

// startsAtOnce is how many processes of realms are started at a time.
const startsAtOnce = 8

// keptApart is a plugin that has a process for each realm, and for whom one of its processes is.
type keptApart struct {
	model *supervised
	owner string
}

// owner says for whom a process is made that has the instance, where a plugin keeps realms apart; an error if it would be
// for several.
func (i *Instance) owner() (string, error) {
	switch {
	case i.Setup.Realm != "":
		return "realm " + i.Setup.Realm, nil
	case i.Kind == sdk.KindSecretResolver && i.Setup.Store != "":
		return "secret store " + i.Setup.Store, nil
	}
	return "", fmt.Errorf("the plugin has a process for each realm (per_realm), and this %v is for none", i.Kind)
}

// apart gives the plugin that an instance is to live in: p itself, or where p keeps realms apart the one of the instance's own
// realm, which may have yet to start. The set has it until it is closed.
func (s *Set) apart(p *supervised, i *Instance) (*supervised, error) {
	if p.src.PerRealm == nil {
		return p, nil
	}
	owner, err := i.owner()
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", p.src.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return nil, fmt.Errorf("plugin %s: %w", p.src.Name, errClosed)
	default:
	}
	key := keptApart{p, owner}
	if own := s.own[key]; own != nil {
		return own, nil
	}
	image, err := p.seen.Share()
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", p.src.Name, errClosed)
	}
	src := s.from[p]
	src.owner = owner
	own := s.c.running(src, image)
	if own == nil {
		own = s.c.newSupervised(src)
		own.log = own.log.With("for", owner)
		own.image, image = image, nil
		s.c.hold(own)
		s.begun = append(s.begun, src.title())
		go own.run()
	}
	if image != nil {
		image.Close()
	}
	s.own[key], s.from[own] = own, src
	s.chosen = append(s.chosen, own)
	return own, nil
}

// begin has the process of a realm started, if p is one. If it does not start now it is tried again, and what is configured
// on it until then is unavailable.
func (s *Set) begin(ctx context.Context, p *supervised) {
	if p.src.owner == "" {
		return
	}
	fresh := !p.hasStarted()
	if fresh {
		select {
		case s.c.starts <- struct{}{}:
			p.tryNow(ctx)
			<-s.c.starts
		case <-ctx.Done():
		}
	}
	if p.hasStarted() {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		s.claim(p, fresh)
	}
}

// claim makes the set the first that has the plugin, unless there is one. c.mu is held.
func (s *Set) claim(p *supervised, fresh bool) {
	if !p.had {
		p.had = true
		s.started = append(s.started, start{p, p.proof(fresh)})
	}
}

// starts gives the plugins that the set is the first to have.
func (s *Set) starts() []start {
	s.c.mu.RLock()
	defer s.c.mu.RUnlock()
	return slices.Clone(s.started)
}

// user gives whom the processes of the plugin run as; nil: the host's user.
func (p *supervised) user(ctx context.Context) (*child.User, error) {
	if p.src.PerRealm == nil {
		return p.src.User, nil
	}
	if p.taken == nil {
		u, err := p.c.starter.Take(ctx, *p.src.PerRealm, p.src.Name+"/"+p.src.owner)
		if err != nil {
			return nil, &child.Refusal{Reason: child.ReasonUser, Detail: "has no user to run as: " + err.Error(), Err: err}
		}
		p.taken = &u
	}
	return p.taken, nil
}

// title names the plugin, and for whom its process is if it has several.
func (s *Source) title() string {
	if s.owner == "" {
		return s.Name
	}
	return fmt.Sprintf("%s (%s)", s.Name, s.owner)
}
