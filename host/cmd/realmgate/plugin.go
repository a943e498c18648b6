package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

type pluginCmd struct {
	New     pluginNew     `cmd:"" help:"Make the folder of a new plugin: a part of any kind that works, with its tests and a configuration."`
	List    pluginList    `cmd:"" help:"List the plugin processes of the running daemon and what they offer."`
	Inspect pluginInspect `cmd:"" help:"Start a plugin binary and print what it says of itself: its parts, what they want, their settings."`
	Verify  pluginVerify  `cmd:"" help:"Run the conformance suite on a plugin binary in any language: start it, ask it all that a daemon would and more, and say what it does wrong."`
	Lock    pluginLock    `cmd:"" help:"Write the lock file beside the configuration: from then on, no other plugins run than those in it, as they are now."`
}

type pluginList struct {
	door
	Wide bool `short:"w" help:"With the digests of the binaries, what is under way, and all that is offered."`
}

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
	return p.print(std, got, func(w io.Writer) { pluginRows(w, got, p.Wide) })
}

func pluginRows(w io.Writer, plugins []admin.Plugin, wide bool) {
	title := []any{"NAME", "VERSION", "STATE", "SERVES", "SINCE", "PID", "RESTARTS"}
	if wide {
		title = append(title, "SHA256", "INSTANCES", "CALLS")
	}
	row(w, append(title, "OFFERS")...)
	for _, p := range plugins {
		pid, serves := "-", "-"
		if p.PID != 0 {
			pid = strconv.Itoa(p.PID)
		}
		if p.Serves {
			serves = "yes"
		}
		cells := []any{pluginName(p), cmp.Or(p.Version, "-"), p.State, serves, time.Since(p.Since).Round(time.Second), pid, p.Restarts}
		if wide {
			cells = append(cells, cmp.Or(fmt.Sprintf("%.12s", p.Digest), "-"), p.Instances, p.Calls)
		}
		row(w, append(cells, offered(p, wide))...)
	}
	for _, p := range plugins { // behind the table, whose columns a long text would move
		if p.Reason != "" {
			when := "" // of a daemon that does not tell
			if p.ReasonTime != nil {
				when = fmt.Sprintf(", %v ago", time.Since(*p.ReasonTime).Round(time.Second))
			}
			fmt.Fprintf(w, "\n%s, last error%s: %s\n", pluginName(p), when, p.Reason)
		}
		if len(p.ClosedTo) > 0 {
			fmt.Fprintf(w, "\n%s is not called for %s: there was no answer in time too often, or it ended instead\n", pluginName(p), some(p.ClosedTo))
		}
		outboundRows(w, p)
	}
}

// offered names what a plugin offers: one part of several, unless all fit or are wanted.
func offered(p admin.Plugin, wide bool) string {
	const fit = 2
	offers := make([]string, len(p.Implementations))
	for i, x := range p.Implementations {
		offers[i] = x.Kind + "/" + x.Type
	}
	if wide || len(offers) <= fit {
		return list(offers)
	}
	return fmt.Sprintf("%s and %d more", offers[0], len(offers)-1)
}

// outboundRows tells which other servers a plugin leaves alone.
func outboundRows(w io.Writer, p admin.Plugin) {
	for _, o := range p.Outbound {
		for _, s := range o.Servers {
			fmt.Fprintf(w, "\n%s, %s leaves %s alone for %v: it %s\n", pluginName(p), o.Part, s.Server, time.Since(s.Since).Round(time.Second), s.Reason)
		}
		if more := o.Open - len(o.Servers); more > 0 {
			fmt.Fprintf(w, "\n%s, %s leaves %d further servers alone\n", pluginName(p), o.Part, more)
		}
		if o.Overlooked > 0 {
			fmt.Fprintf(w, "\n%s, %s has called servers %d times that it does not look after, since too many others fail\n", pluginName(p), o.Part, o.Overlooked)
		}
	}
}

// listed is how many names are worth reading; --json has all.
const listed = 10

func some(names []string) string {
	if len(names) <= listed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:listed], ", "), len(names)-listed)
}

// pluginName tells the processes of one plugin apart.
func pluginName(p admin.Plugin) string {
	if p.For != "" {
		return p.Name + " (" + p.For + ")"
	}
	return p.Name
}
