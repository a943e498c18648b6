package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
)

type configPrint struct {
	JSON bool `help:"Print JSON."`
}

// printedValue is one key, as JSON.
type printedValue struct {
	Block string          `json:"block,omitempty"`
	Name  string          `json:"name,omitempty"`
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	From  string          `json:"from"`
}

// Run prints the configuration. The bundled plugins say which of their settings take no secrets; only these are shown.
func (p configPrint) Run(ctx context.Context, c *cli, std streams) error {
	cfg, _, err := c.load(std, nil)
	if err != nil {
		return err
	}
	ctx, stop := stopSignals(ctx)
	defer stop()
	known, err := bundledSettings(ctx, std, cfg)
	if err != nil {
		return err
	}
	all := cfg.Values(known.shown)
	if p.JSON {
		return printValuesJSON(std.out, all)
	}
	return printValues(std.out, all)
}

func printValuesJSON(out io.Writer, all []config.Value) error {
	list := make([]printedValue, len(all))
	for i, v := range all {
		list[i] = printedValue{Block: v.Kind, Name: v.Name, Key: v.Key, Value: json.RawMessage(v.JSON), From: cmp.Or(v.From, "default")}
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

// printValues prints the blocks one below the other.
func printValues(to io.Writer, all []config.Value) error {
	out := bufio.NewWriter(to)
	for i, v := range all {
		if i > 0 && (v.Kind != all[i-1].Kind || v.Name != all[i-1].Name) {
			fmt.Fprintln(out)
		}
		if v.Kind != "" && (i == 0 || v.Kind != all[i-1].Kind || v.Name != all[i-1].Name) {
			fmt.Fprint(out, v.Kind)
			if v.Name != "" {
				fmt.Fprintf(out, " %q", v.Name)
			}
			fmt.Fprintln(out)
		}
		indent := ""
		if v.Kind != "" {
			indent = "  "
		}
		fmt.Fprintf(out, "%s%s = %s  # %s\n", indent, v.Key, v.JSON, cmp.Or(v.From, "default"))
	}
	return out.Flush()
}

// settingsSchemas are the JSON schemas of settings, by kind and type.
type settingsSchemas map[[2]string]json.RawMessage

// bundledSettings asks the bundled plugins that the lock file lets run. What others take may be secrets.
func bundledSettings(ctx context.Context, std streams, cfg *config.Config) (settingsSchemas, error) {
	all, _, err := sources(cfg)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s catalog.Source) bool { return !s.Bundled })
	if len(all) == 0 {
		return nil, nil
	}
	found, err := describe(ctx, std, all)
	if err != nil {
		return nil, err
	}
	out := settingsSchemas{}
	for _, s := range found {
		for _, o := range s.Offers {
			out[[2]string{o.Kind.String(), o.Type}] = o.SettingsSchema
		}
	}
	return out, nil
}

// schemaNode is what counts here of a JSON schema.
type schemaNode struct {
	Format     string                     `json:"format"`
	Properties map[string]json.RawMessage `json:"properties"`
	Items      json.RawMessage            `json:"items"`
}

// shown says whether a setting is declared, and not as a secret reference: a text there may be shown.
func (s settingsSchemas) shown(kind, typ string, path []string) bool {
	node, ok := readSchema(s[[2]string{kind, typ}])
	for _, key := range path {
		if !ok {
			return false
		}
		node, ok = readSchema(node.Properties[key])
	}
	return ok && node.Format != "realmgate-secret-ref"
}

// readSchema reads a schema; that of a list is the one of its items.
func readSchema(text json.RawMessage) (schemaNode, bool) {
	var n schemaNode
	if len(text) == 0 || json.Unmarshal(text, &n) != nil {
		return n, false
	}
	if len(n.Items) > 0 {
		return readSchema(n.Items)
	}
	return n, true
}
