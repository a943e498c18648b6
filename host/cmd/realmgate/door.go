package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/config"
)

// door is what every command that talks to a running daemon takes.
type door struct {
	Socket string `placeholder:"PATH" help:"The daemon's admin socket; the configuration says where it is."`
	JSON   bool   `help:"Print JSON."`
}

// realmDoor is a door to one realm.
type realmDoor struct {
	door
	Realm string `short:"r" required:"" env:"REALMGATE_CLI_REALM" help:"The realm."`
}

// client connects to the daemon.
func (d door) client(c *cli, std streams) (*admin.Client, error) {
	if d.Socket == "" {
		files, name := c.files()
		its, diags := config.LoadAdmin(options(files, nil))
		if err := report(std, diags); err != nil {
			return nil, err
		}
		if d.Socket = its.Socket; d.Socket == "" {
			return nil, fmt.Errorf("%s turns the admin socket off: admin { socket = \"\" }", name)
		}
	}
	return admin.NewClient(d.Socket), nil
}

// print shows v as JSON, or by table.
func (d door) print(std streams, v any, table func(w io.Writer)) error {
	if d.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
}

func row(w io.Writer, cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = fmt.Sprint(c)
	}
	fmt.Fprintln(w, strings.Join(text, "\t"))
}

func list(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

// attributes turns key=value words into a map.
func attributes(words []string) (map[string]string, error) {
	if len(words) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(words))
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("attribute %q: write key=value", w)
		}
		if _, twice := m[k]; twice {
			return nil, fmt.Errorf("attribute %q is given twice", k)
		}
		m[k] = v
	}
	return m, nil
}
