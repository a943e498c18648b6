package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// separator stands between the levels of a key for koanf. Names may contain dots, but no control character.
const separator = "\x1f"

const maxFile = 16 << 20 // bytes of a configuration file

// Options say what a configuration is made of.
type Options struct {
	Files       []string       // files, or directories of which every *.hcl file is read in the order of names
	Environ     []string       // as os.Environ gives it; REALMGATE_* counts
	Flags       map[string]any // key -> value, the levels of a key separated by dots: log.level
	Default     []byte         // read instead of files if Files is empty
	DefaultName string         // the file name that diagnostics give to Default
}

// Load reads and checks a configuration. The Config is nil if a diagnostic is an error; warnings come beside a Config.
func Load(opts Options) (*Config, Diagnostics) {
	l := newLoader()
	l.layers(opts)
	cfg := l.build()
	cfg.Folder, cfg.Files = folder(opts.Files), opts.Files
	diags := l.diags.Sort()
	if diags.Err() != nil {
		return nil, diags
	}
	return cfg, diags
}

// LoadAdmin reads of a configuration how its daemon is operated, and leaves the rest unread where it can: commands that talk to a
// daemon do not wait for ten thousand realms. Nothing is said of what is at fault in the rest, which the daemon tells.
func LoadAdmin(opts Options) (Admin, Diagnostics) {
	l := newLoader()
	l.about = "admin"
	l.layers(opts)
	if len(l.diags) > 0 { // it may be for want of what was not read
		cfg, diags := Load(opts)
		if cfg == nil {
			return Admin{}, diags
		}
		return cfg.Admin, nil
	}
	root := node{values: l.values, at: l.root, written: true, diags: &l.diags}
	return Admin{Socket: root.block("admin").text("socket")}, nil
}

// folder gives where the configuration is.
func folder(files []string) string {
	if len(files) == 0 {
		return "."
	}
	if info, err := os.Stat(files[0]); err == nil && info.IsDir() {
		return files[0]
	}
	return filepath.Dir(files[0])
}

// loader puts the layers on each other: values, and places beside them. All but the files are read by koanf's providers.
type loader struct {
	about  string // see parser
	values map[string]any
	schema *block
	root   *trace
	diags  Diagnostics
	broken bool // a file could not be read completely: what seems to be missing may be there
}

func newLoader() *loader {
	return &loader{values: map[string]any{}, schema: rootSchema(), root: &trace{}}
}

// layers puts all layers on each other.
func (l *loader) layers(opts Options) {
	l.layer(confmap.Provider(defaults(), ""), &trace{})
	l.files(opts)
	if len(group(l.values, "listener")) == 0 {
		l.layer(confmap.Provider(map[string]any{"listener": map[string]any{"main": map[string]any{}}}, ""), &trace{})
	}
	l.environment(opts.Environ)
	l.flags(opts.Flags)
}

func (l *loader) fault(name, summary, detail string) {
	l.diags = append(l.diags, Diagnostic{File: name, Summary: summary, Detail: detail})
}

// layer puts what a provider reads above what is there. Places are known once it was read.
func (l *loader) layer(from koanf.Provider, places *trace) {
	values, err := from.Read()
	if err != nil {
		l.fault("", "the configuration cannot be read", err.Error())
		return
	}
	merge(l.schema, values, l.values, places, l.root)
}

// merge puts a stronger layer into a weaker one. Keys replace; blocks are merged; a part that names another type than
// before starts anew.
func merge(s *block, src, dest map[string]any, from, to *trace) {
	if to.src == nil {
		to.src, to.line, to.column = from.src, from.line, from.column
	}
	for name, value := range src {
		inner, isBlock := s.blocks[name]
		if !isBlock || inner.form == repeated {
			dest[name] = value
			to.set(name, from.child(name))
			continue
		}
		if to.child(name) == nil {
			to.set(name, &trace{})
		}
		if inner.form == single {
			mergeBlock(inner, name, src, dest, orEmpty(from.child(name)), to.child(name))
			continue
		}
		if dest[name] == nil {
			dest[name] = map[string]any{}
		}
		for label, whole := range group(src, name) {
			if group(dest, name)[label] == nil && to.child(name).child(label) == nil && from.child(name).child(label) != nil {
				group(dest, name)[label] = whole // nothing is below
				to.child(name).set(label, from.child(name).child(label))
				continue
			}
			if to.child(name).child(label) == nil {
				to.child(name).set(label, &trace{})
			}
			mergeBlock(inner, label, group(src, name), group(dest, name), orEmpty(from.child(name).child(label)), to.child(name).child(label))
		}
	}
	// A key whose value was refused has a place but no value; it must not look as if it were missing.
	for name, place := range from.children.all() {
		if to.child(name) == nil {
			to.set(name, place)
		}
	}
}

func mergeBlock(s *block, name string, src, dest map[string]any, from, to *trace) {
	above, below := group(src, name), group(dest, name)
	if t, ok := above["type"]; ok && s.part && below["type"] != nil && below["type"] != t {
		below = nil
		to.children = nil
		if from.src != nil {
			to.src, to.line, to.column = from.src, from.line, from.column
		}
	}
	if below == nil {
		below = map[string]any{}
	}
	merge(s, above, below, from, to)
	dest[name] = below
}

// group gives the block or the labelled blocks under a name.
func group(values map[string]any, name string) map[string]any {
	m, _ := values[name].(map[string]any)
	return m
}

func orEmpty(t *trace) *trace {
	if t == nil {
		return &trace{}
	}
	return t
}

// files reads the files, or the built-in text if there is none.
func (l *loader) files(opts Options) {
	if len(opts.Files) == 0 {
		if opts.Default != nil {
			l.file(opts.DefaultName, opts.Default)
		}
		return
	}
	for _, name := range opts.Files {
		for _, one := range l.expand(name) {
			content, err := readFile(one)
			if err != nil {
				l.broken = true
				l.fault(one, "the configuration file cannot be read", err.Error())
				continue
			}
			l.file(one, content)
		}
	}
}

// expand gives the files of a directory, or the file itself.
func (l *loader) expand(name string) []string {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return []string{name}
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		l.broken = true
		l.fault(name, "the configuration directory cannot be read", err.Error())
		return nil
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".hcl") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			out = append(out, filepath.Join(name, e.Name()))
		}
	}
	if len(out) == 0 {
		l.fault(name, "the configuration directory has no *.hcl file", "")
	}
	slices.Sort(out)
	return out
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // the size that a device or a pipe states says nothing
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return content, err
}

func (l *loader) file(name string, content []byte) {
	p := &parser{src: newSource(name, content), about: l.about, diags: &l.diags}
	values := p.read(content)
	merge(l.schema, values, l.values, p.root, l.root)
	l.broken = l.broken || p.broken
}

func (l *loader) environment(environ []string) {
	names := ours(environ)
	if len(names) == 0 {
		return
	}
	v := &variables{
		targets: targets(l.schema, l.values, names), all: func() map[string][]target { return targets(l.schema, l.values, nil) },
		places: &trace{}, diags: &l.diags, seen: map[string]string{},
	}
	l.layer(env.Provider(separator, env.Opt{
		Prefix:        variablePrefix,
		TransformFunc: v.resolve,
		EnvironFunc:   func() []string { return environ },
	}), v.places)
}

// flags takes keys of blocks that are written once. Their names come from the command, so that a wrong one is a fault of
// ours; it is reported like any other.
func (l *loader) flags(flags map[string]any) {
	values, places := map[string]any{}, &trace{}
	for key, value := range flags {
		path := strings.Split(key, ".")
		s := l.schema
		for _, name := range path[:len(path)-1] {
			if s = s.blocks[name]; s == nil || s.form != single {
				s = &block{}
				break
			}
		}
		src := &source{other: "flag " + key}
		given, isText := value.(string)
		if s.attrs[path[len(path)-1]] != text || !isText {
			l.diags = append(l.diags, Diagnostic{Source: src.other, Summary: "no such key that takes a string"})
			continue
		}
		values[strings.Join(path, separator)] = given
		places.write(path, src)
	}
	l.layer(confmap.Provider(values, separator), places)
}

// write notes that a key came from a source without lines.
func (t *trace) write(path []string, src *source) {
	for _, name := range path {
		if t.child(name) == nil {
			t.set(name, &trace{})
		}
		t = t.child(name)
	}
	t.src = src
}
