package deptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// modulePath is the root module's; all modules of ours are below it.
const modulePath = "github.com/realmgate/realmgate"

// graph holds the packages of the workspace and all that they import outside of tests.
type graph map[string]node

type node struct {
	imports  []string
	standard bool
}

// load reads the graph of all modules in the workspace at root. A package that does not compile is taken as far as it can
// be read.
func load(root string) (graph, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,ImportMap,Standard", "work")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	g := graph{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
			ImportMap  map[string]string
			Standard   bool
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return g, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for i, imported := range p.Imports {
			if real, ok := p.ImportMap[imported]; ok {
				p.Imports[i] = real
			}
		}
		if p.Standard { // how the standard library is built is not our affair
			p.Imports = slices.DeleteFunc(p.Imports, func(i string) bool { return i == "C" })
		}
		g[p.ImportPath] = node{imports: p.Imports, standard: p.Standard}
	}
}

// importFaults says, for each rule that is broken, by which chain of imports.
func importFaults(g graph, rules []rule) []string {
	var out []string
	for _, r := range rules {
		for _, pkg := range g.names() {
			if r.covers(pkg) {
				out = append(out, r.faults(g, pkg)...)
			}
		}
	}
	return out
}

// ownFaults says which bundled plugin imports something of ours beside the sdk and itself.
func ownFaults(g graph) []string {
	var out []string
	for _, pkg := range g.names() {
		plugin, ok := strings.CutPrefix(pkg, modulePath+"/plugins/")
		if !ok {
			continue
		}
		plugin, _, _ = strings.Cut(plugin, "/")
		for _, imported := range g[pkg].imports {
			if within(imported, modulePath) && !within(imported, modulePath+"/sdk") && !within(imported, modulePath+"/plugins/"+plugin) {
				out = append(out, fmt.Sprintf("%s must not import %s: a plugin knows the sdk and itself only", short(pkg), short(imported)))
			}
		}
	}
	return out
}

func (g graph) names() []string {
	names := make([]string, 0, len(g))
	for name := range g {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r rule) covers(pkg string) bool {
	return slices.ContainsFunc(r.rooms, func(room string) bool {
		if r.exact {
			return pkg == full(room)
		}
		return within(pkg, full(room))
	})
}

func (r rule) denies(g graph, pkg string) bool {
	if r.std {
		return !g[pkg].standard
	}
	return slices.ContainsFunc(r.deny, func(d string) bool { return within(pkg, full(d)) })
}

// faults walks the imports of a package, breadth first, so that the chain is a shortest one. What is denied is not looked
// into: what it imports in turn is no further news.
func (r rule) faults(g graph, from string) []string {
	var out []string
	parent := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != from && r.denies(g, at) {
			out = append(out, fmt.Sprintf("%s must not import %s: %s\n\t%s", short(from), short(at), r.reason, chain(parent, at)))
			continue
		}
		for _, next := range g[at].imports {
			if _, seen := parent[next]; !seen {
				parent[next] = at
				queue = append(queue, next)
			}
		}
	}
	return out
}

func chain(parent map[string]string, at string) string {
	var steps []string
	for ; at != ""; at = parent[at] {
		steps = append(steps, short(at))
	}
	slices.Reverse(steps)
	return strings.Join(steps, " -> ")
}

func full(path string) string {
	if rest, ok := strings.CutPrefix(path, "./"); ok {
		return modulePath + "/" + rest
	}
	return path
}

func short(path string) string { return strings.TrimPrefix(path, modulePath+"/") }

func within(path, above string) bool {
	return path == above || strings.HasPrefix(path, above+"/")
}
