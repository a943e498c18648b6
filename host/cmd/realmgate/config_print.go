package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/realmgate/realmgate/host/config"
)

type configPrint struct {
	JSON    bool `help:"Print JSON."`
	Plugins bool `default:"true" negatable:"" help:"Start the plugins, and ask them which settings their parts have (--no-plugins: do not)."`
}

// printedValue is one key, as JSON.
type printedValue struct {
	Block string          `json:"block,omitempty"`
	Name  string          `json:"name,omitempty"`
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	From  string          `json:"from"`
}

// Run prints the configuration. The plugins say what their parts take, what counts without being written, and what is secret.
func (p configPrint) Run(ctx context.Context, c *cli, std streams) error {
	cfg, _, err := c.load(std, nil)
	if err != nil {
		return err
	}
	ctx, stop := stopSignals(ctx)
	defer stop()
	var all []config.Value
	if p.Plugins {
		known, failed := askSettings(ctx, std, cfg)
		if err := ctx.Err(); err != nil {
			return err
		}
		all = cfg.Values(known)
		if failed != nil {
			fmt.Fprintf(std.err, "realmgate: note: not all plugins could be asked: %v\n", failed)
		}
		if parts := known.missing(); parts != "" {
			fmt.Fprintf(std.err, "realmgate: note: no plugin that could be asked offers %s: their defaults are not listed, and their texts are not shown\n", parts)
		}
	} else {
		all = cfg.Values(nil)
		fmt.Fprintln(std.err, "realmgate: note: no plugin was asked: the defaults of parts are not listed, and their texts are not shown")
	}
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
