package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/module"
)

//go:embed templates
var templates embed.FS

// goVersion is what a new module begins with; a test compares it with this module's own go.mod.
const goVersion = "1.26.0"

// does says what the part of each kind does, for the README.
var does = map[string]string{
	"identity-provider":      "It takes tickets that another system seals with a shared key.",
	"principal-mapper":       "It names a principal after a claim.",
	"principal-roles-mapper": "It knows which role a group of the identity provider stands for.",
	"authenticator":          "It lets in those principals of the directory that hold a role.",
	"active-roles-provider":  "It keeps some roles for those who ask for them by name.",
	"token-broker":           "It signs access tokens with an Ed25519 key, which it publishes.",
	"secret-resolver":        "It reads secrets from a folder with a file for each.",
	"credential-vendor":      "It makes short-lived passes from the key of a connection.",
}

// further is what a part of a kind does only where it is asked for.
var further = map[string]struct{ kind, does string }{
	"request-signer": {"credential-vendor", "It signs requests, too."},
	"secret-writer":  {"secret-resolver", "It keeps secrets, too."},
}

// Abilities lists what can be asked for beside what a kind begins with, sorted.
func Abilities() []string { return slices.Sorted(maps.Keys(further)) }

// Kinds lists the kinds of which a part can be made, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(does)) }

// Plugin is what is to be made.
type Plugin struct {
	Name   string   // of the plugin and of its part's type
	Kind   string   // as in Kinds
	With   []string // as in Abilities, those of the kind
	Module string   // path of the Go module
	SDK    string   // version of the SDK that the module begins with, v0.1.0 say; "" where none is known, as in a checkout
}

// maxName keeps the name of the binary within what file systems and listings take.
const maxName = 40

var names = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// bundled are the names of what comes with the daemon.
var bundled = []string{"default", "aws", "vault"}

// Binary gives the name of the program, from which the daemon takes the name of the plugin.
func (p Plugin) Binary() string { return "realmgate-plugin-" + p.Name }

// check finds everything that is wrong with what is asked for.
func (p Plugin) check() error {
	var faults []error
	switch {
	case !names.MatchString(p.Name):
		faults = append(faults, fmt.Errorf("name %q: lower-case letters and digits are wanted, in words with a - between them, a letter first", p.Name))
	case len(p.Name) > maxName:
		faults = append(faults, fmt.Errorf("name: it has %d characters, at most %d are wanted", len(p.Name), maxName))
	case slices.Contains(bundled, p.Name):
		faults = append(faults, fmt.Errorf("name %q: a plugin of this name comes with the daemon", p.Name))
	}
	if _, ok := does[p.Kind]; !ok {
		faults = append(faults, fmt.Errorf("kind %q: it is none of %s", p.Kind, strings.Join(Kinds(), ", ")))
	}
	for _, ability := range p.With {
		switch w, ok := further[ability]; {
		case !ok:
			faults = append(faults, fmt.Errorf("with %q: it is none of %s", ability, strings.Join(Abilities(), ", ")))
		case w.kind != p.Kind:
			faults = append(faults, fmt.Errorf("with %q: that is for the kind %s", ability, w.kind))
		}
	}
	if err := checkModule(p.Module); err != nil {
		faults = append(faults, fmt.Errorf("module: %w", err))
	}
	return errors.Join(faults...)
}

// reserved are the beginnings of paths that are others' for certain: a module of such a path cannot require what it builds on.
var reserved = []string{"github.com/realmgate/realmgate", "golang.org/x", "google.golang.org"}

// checkModule wants a path that others could fetch: one without a dot in its first element is the standard library's.
func checkModule(name string) error {
	if err := module.CheckPath(name); err != nil {
		return err
	}
	for _, r := range reserved {
		if name == r || strings.HasPrefix(name, r+"/") {
			return fmt.Errorf("%q: %s is not yours", name, r)
		}
	}
	if strings.Contains(name, "/-") {
		return fmt.Errorf("%q: no element may begin with a -", name)
	}
	return nil
}

// Files gives the content of each file of the new folder, by its name. The error names what is wrong with the name, the
// kind, what it is to have and the module path, all at once.
func (p Plugin) Files() (map[string][]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	variable := strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_KEY"
	values := map[string]any{
		"Name": p.Name, "Kind": p.Kind, "Module": p.Module, "Binary": p.Binary(), "Does": does[p.Kind],
		"Go": goVersion, "SDK": p.SDK, "Variable": variable, "Env": "",
		"Writer": slices.Contains(p.With, "secret-writer"), "Signer": slices.Contains(p.With, "request-signer"),
	}
	switch p.Kind { // their configurations have a key in a variable
	case "identity-provider":
		values["Env"] = variable + "=$(openssl rand -hex 32) "
	case "token-broker":
		values["Env"] = variable + `="$(openssl genpkey -algorithm ed25519)" `
	}
	folders := []string{"module", p.Kind}
	for _, ability := range p.With {
		folders = append(folders, path.Join("with", ability))
		values["Does"] = fmt.Sprintf("%s %s", values["Does"], further[ability].does)
	}
	files := map[string][]byte{}
	for _, folder := range folders { // a file of a later one takes the place of an earlier one's
		if err := fill(files, path.Join("templates", folder), values); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// fill makes a file of each template in a folder.
func fill(files map[string][]byte, from string, values map[string]any) error {
	entries, err := fs.ReadDir(templates, from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		t, err := template.New(e.Name()).Option("missingkey=error").ParseFS(templates, path.Join(from, e.Name()))
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, values); err != nil {
			return err
		}
		name := strings.TrimSuffix(e.Name(), ".tmpl")
		if name == "gitignore" {
			name = ".gitignore"
		}
		files[name] = text.Bytes()
		if strings.HasSuffix(name, ".go") { // how lines are laid out depends on the length of the name
			if files[name], err = format.Source(text.Bytes()); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}
