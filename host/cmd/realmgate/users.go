package main

import (
	"fmt"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
)

// separate has a plugin run as the users that its block gives it. The error names the place of the block.
func separate(p config.Plugin, s *catalog.Source) error {
	if p.User.First == 0 {
		return nil
	}
	if err := child.MayBecome(); err != nil {
		return p.Diagnose("user", fmt.Sprintf("plugin %q cannot run as another user: %v", p.Name, err),
			"Run the daemon as root, or give it these capabilities (AmbientCapabilities= of systemd); or leave user out: the plugin is trusted like the daemon then.")
	}
	if p.PerRealm {
		s.PerRealm = &child.Range{First: p.User.First, Last: p.User.Last}
	} else {
		s.User = &child.User{UID: p.User.First, GID: p.User.Group}
	}
	return nil
}
