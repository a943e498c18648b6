package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

type pluginCmd struct {
	List    pluginList    `cmd:"" help:"List the plugin processes of the running daemon and what they offer."`
	Inspect pluginInspect `cmd:"" help:"Start a plugin binary and print what it says of itself: its parts, what they want, their settings."`
	Verify  pluginVerify  `cmd:"" help:"Run the conformance suite on a plugin binary in any language: start it, ask it all that a daemon would and more, and say what it does wrong."`
	Lock    pluginLock    `cmd:"" help:"Write the lock file beside the configuration: from then on, no other plugins run than those in it, as they are now."`
}

type pluginList struct{ door }

// Run lists the plugins.
func (p pluginList) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.Plugins(ctx)
	if err != nil {
		return err
	}
	return p.print(std, got, func(w io.Writer) { pluginRows(w, got) })
}

func pluginRows(w io.Writer, plugins []admin.Plugin) {
	row(w, "NAME", "VERSION", "SHA256", "STATE", "SINCE", "PID", "RESTARTS", "INSTANCES", "CALLS", "OFFERS")
	for _, p := range plugins {
		offers := make([]string, len(p.Implementations))
		for i, x := range p.Implementations {
			offers[i] = x.Kind + "/" + x.Type
		}
		name := p.Name
		if p.For != "" {
			name += " (" + p.For + ")"
		}
		row(w, name, p.Version, fmt.Sprintf("%.12s", p.Digest), p.State, time.Since(p.Since).Round(time.Second), p.PID, p.Restarts, p.Instances, p.Calls, list(offers))
		if p.Reason != "" {
			row(w, "", p.Reason)
		}
	}
}
