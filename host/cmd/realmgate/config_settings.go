package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/settings"
)

// partSettings are the schemas of the settings of parts.
type partSettings struct {
	known   map[partType]settings.Schema
	unknown map[partType]bool // that were asked for
}

type partType struct{ kind, typ string }

func (p partType) String() string { return p.kind + " " + strconv.Quote(p.typ) }

// askSettings starts the plugins that the lock file lets run, and asks them. The error names those of which nothing is known.
func askSettings(ctx context.Context, std streams, cfg *config.Config) (partSettings, error) {
	out := partSettings{known: map[partType]settings.Schema{}, unknown: map[partType]bool{}}
	all, _, err := sources(cfg)
	if err != nil {
		return out, err
	}
	found, failed, err := describeAll(ctx, std, all)
	if err != nil {
		return out, err
	}
	for _, s := range found {
		for _, o := range s.Offers {
			schema, err := settings.Read(o.SettingsSchema, s.Bundled)
			if err != nil {
				failed = append(failed, fmt.Errorf("plugin %s: the schema of the %v %q cannot be read", s.Name, o.Kind, o.Type))
				continue
			}
			out.known[partType{o.Kind.String(), o.Type}] = schema
		}
	}
	return out, errors.Join(failed...)
}

// Shows says whether a text may be shown: the part is known, and takes no secret there.
func (s partSettings) Shows(kind, typ string, path []string, text string) bool {
	schema, ok := s.schema(partType{kind, typ})
	return ok && schema.Shows(path, text)
}

// Defaults gives the defaults of the schema: of the settings that are not written, and of those in blocks that are.
func (s partSettings) Defaults(kind, typ string, written map[string]any) []config.SettingDefault {
	schema := s.known[partType{kind, typ}]
	if written != nil { // else not even its type is: nobody misses it where its plugin is not there
		schema, _ = s.schema(partType{kind, typ})
	}
	var out []config.SettingDefault
	for _, d := range schema.Defaults(written) {
		out = append(out, config.SettingDefault(d))
	}
	return out
}

func (s partSettings) schema(p partType) (settings.Schema, bool) {
	out, ok := s.known[p]
	if !ok {
		s.unknown[p] = true
	}
	return out, ok
}

// missing says of which parts nothing is known; empty if there are none.
func (s partSettings) missing() string {
	names := make([]string, 0, len(s.unknown))
	for p := range s.unknown {
		names = append(names, p.String())
	}
	slices.Sort(names)
	return some(names)
}
