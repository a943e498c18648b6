package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk"
)

type pluginInspect struct {
	pluginChoice
	JSON bool `help:"Print JSON, with the whole schemas of the settings."`
}

// pluginChoice says which plugin is meant.
type pluginChoice struct {
	Plugin string `arg:"" help:"Path of a plugin binary, or the name of a plugin of the configuration."`
	TLS    string `name:"tls" enum:"auto,none" default:"auto" help:"How to speak with a binary that is given by its path: auto or none, as in a plugin block."`
}

// isPath says whether a file is meant: what has a slash in it.
func (p pluginChoice) isPath() bool { return strings.ContainsRune(p.Plugin, filepath.Separator) }

// inspected is what a plugin says of itself, as JSON.
type inspected struct {
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	Build    string            `json:"build,omitempty"`
	Path     string            `json:"path"`
	SHA256   string            `json:"sha256"`
	Files    map[string]string `json:"files,omitempty"`
	Contract int               `json:"contract"`
	Offers   []inspectedOffer  `json:"offers"`
}

type inspectedOffer struct {
	Kind         string          `json:"kind"`
	Type         string          `json:"type"`
	Abilities    []string        `json:"abilities"`
	Wants        []string        `json:"wants"`
	Schemes      []string        `json:"schemes,omitempty"`
	NeedsHTTP    bool            `json:"needs_http,omitempty"`
	OperatorOnly bool            `json:"operator_only,omitempty"`
	ExternalOnly bool            `json:"external_only,omitempty"`
	Cacheable    bool            `json:"cacheable,omitempty"`
	Settings     json.RawMessage `json:"settings_schema,omitempty"`
}

// Run starts the plugin and prints what it says of itself.
func (p pluginInspect) Run(ctx context.Context, c *cli, std streams) error {
	ctx, stop := stopSignals(ctx)
	defer stop()
	s, err := p.source(c, std)
	if err != nil {
		return err
	}
	all, err := describe(ctx, std, []catalog.Source{s})
	if err != nil {
		return err
	}
	x := inspect(all[0])
	if p.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", "  ")
		return e.Encode(x)
	}
	return x.print(std.out)
}

// source finds the plugin: what has a slash in it is a path, everything else a name. The lock file does not count: whoever
// asks wants to know what is there.
func (p pluginChoice) source(c *cli, std streams) (catalog.Source, error) {
	if p.isPath() {
		path, err := filepath.Abs(p.Plugin)
		name := strings.TrimPrefix(filepath.Base(path), catalog.BinaryName(""))
		return catalog.Source{Name: name, Program: child.Program{Path: path, TLS: p.TLS != "none"}}, err
	}
	cfg, from, err := c.load(std, nil)
	if err != nil {
		return catalog.Source{}, err
	}
	all, err := unpinned(cfg)
	if err != nil {
		return catalog.Source{}, err
	}
	names := make([]string, len(all))
	for i, s := range all {
		if names[i] = s.Name; s.Name == p.Plugin {
			return s, nil
		}
	}
	hint := ""
	if _, err := os.Stat(p.Plugin); err == nil {
		hint = fmt.Sprintf("; write ./%s for the file", p.Plugin)
	}
	return catalog.Source{}, fmt.Errorf("%s has no plugin %q, only %s%s", from, p.Plugin, list(names), hint)
}

func inspect(s catalog.Status) inspected {
	x := inspected{Name: s.Name, Version: s.Version, Build: s.Build, Path: s.Path, SHA256: s.Digest, Files: s.Files, Contract: catalog.Contract()}
	for i, o := range catalog.LockOffers(s.Offers) {
		x.Offers = append(x.Offers, inspectedOffer{
			Kind: o.Kind, Type: o.Type, Abilities: orNone(o.Abilities), Wants: orNone(o.Wants), Schemes: s.Offers[i].Schemes,
			NeedsHTTP: s.Offers[i].NeedsHTTP, OperatorOnly: s.Offers[i].OperatorOnly, ExternalOnly: s.Offers[i].ExternalOnly, Cacheable: s.Offers[i].Cacheable,
			Settings: s.Offers[i].SettingsSchema,
		})
	}
	return x
}

func orNone(words []string) []string {
	if words == nil {
		return []string{}
	}
	return words
}

func (x inspected) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row(w, "name", x.Name)
	row(w, "version", x.Version)
	row(w, "build", x.Build)
	row(w, "path", x.Path)
	row(w, "sha256", x.SHA256)
	for _, path := range slices.Sorted(maps.Keys(x.Files)) {
		row(w, "file", path+" "+x.Files[path])
	}
	row(w, "contract", x.Contract)
	for _, o := range x.Offers {
		row(w)
		row(w, o.Kind, o.Type)
		row(w, "  abilities", list(o.Abilities))
		row(w, "  wants", list(o.Wants))
		if len(o.Schemes) > 0 {
			row(w, "  schemes", list(o.Schemes))
		}
		if notes := o.notes(); len(notes) > 0 {
			row(w, "  notes", strings.Join(notes, ", "))
		}
		o.settings(w)
	}
	return w.Flush()
}

// decides says whether the part is a stage of decisions.
func (o inspectedOffer) decides() bool {
	return o.Kind != sdk.KindSecretResolver.String() && o.Kind != sdk.KindCredentialVendor.String()
}

func (o inspectedOffer) notes() (out []string) {
	for _, n := range []struct {
		is   bool
		what string
	}{
		{o.NeedsHTTP, "sees the whole HTTP request"}, {o.OperatorOnly, "for the operator's configuration only"}, {o.ExternalOnly, "for external realms only"},
		{o.Cacheable, "its answers may be remembered"}, {o.decides() && !o.Cacheable, "its answers are remembered only where it gives a time"},
	} {
		if n.is {
			out = append(out, n.what)
		}
	}
	return out
}

// settings shows the outermost keys of a schema, if it has the form that the SDK gives it.
func (o inspectedOffer) settings(w io.Writer) {
	var s struct {
		Properties map[string]struct {
			Type, Format, Description string
			Default                   any
		}
		Required []string
	}
	if len(o.Settings) == 0 || json.Unmarshal(o.Settings, &s) != nil {
		row(w, "  settings", "the schema is not of a form that can be shown; see --json")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[key]
		how := p.Type
		if p.Format != "" {
			how = p.Format
		}
		switch {
		case slices.Contains(s.Required, key):
			how += ", required"
		case p.Default != nil:
			how += fmt.Sprintf(", default %v", p.Default)
		}
		row(w, "  "+child.Printable(key, 64), child.Printable(how, 128), child.Printable(p.Description, 512))
	}
}
