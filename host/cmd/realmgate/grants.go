package main

import (
	"context"
	"strings"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
)

// grants is what a plugin block lets its plugin ask for. What came with the daemon may have what it wants, unless the block
// says otherwise.
func grants(p config.Plugin) catalog.Grants {
	g := catalog.Grants{Wanted: p.Path == "" && p.Command == "" && len(p.Allow) == 0}
	for _, a := range p.Allow {
		g.Allow = append(g.Allow, catalog.Allowance{
			Types: a.Types, Realms: a.Realms, Principals: a.Principals, AccessKeys: a.AccessKeys, SecretStores: a.SecretStores,
		})
	}
	return g
}

// tellRefused keeps a line of what plugins may not ask. Nothing happens of which there would have to be one.
func tellRefused(log *audit.Log) func(context.Context, catalog.Refused) {
	return func(ctx context.Context, r catalog.Refused) {
		_ = log.Tally(ctx, audit.Event{
			Name: audit.PluginRefused, Outcome: audit.Refused, Realm: r.Realm, Plugin: r.Plugin, Part: r.Part,
			Reason: strings.ReplaceAll(r.What.String(), "-", "_"), Detail: r.Why,
		})
	}
}
