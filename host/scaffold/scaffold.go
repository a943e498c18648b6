package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/module"
)

//go:embed templates
var templates embed.FS

// What a new module begins with; a test compares it with this module's own go.mod.
const (
	goVersion  = "1.26.0"
	sdkVersion = "v0.1.0"
)

// does says what the part of each kind does, for the README.
var does = map[string]string{
	"identity-provider":      "It takes tickets that another system seals with a shared key.",
	"principal-mapper":       "It names a principal after a claim.",
	"principal-roles-mapper": "It knows which role a group of the identity provider stands for.",
	"authenticator":          "It lets in those principals of the directory that hold a role.",
	"active-roles-provider":  "It keeps some roles for those who ask for them by name.",
	"token-broker":           "It signs access tokens with HS512.",
	"secret-resolver":        "It reads secrets from a folder with a file for each.",
	"credential-vendor":      "It makes short-lived passes from the key of a connection.",
}

// Kinds lists the kinds of which a part can be made, sorted.
func Kinds() []string {
	out := make([]string, 0, len(does))
	for k := range does {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Plugin is what is to be made.
type Plugin struct {
	Name   string // of the plugin and of its part's type
	Kind   string // as in Kinds
	Module string // path of the Go module
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
	if err := module.CheckImportPath(p.Module); err != nil {
		faults = append(faults, fmt.Errorf("module: %w", err))
	}
	return errors.Join(faults...)
}

// Files gives the content of each file of the new folder, by its name. The error names what is wrong with the name, the kind
// and the module path, all at once.
func (p Plugin) Files() (map[string][]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	upper := strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))
	values := map[string]string{
		"Name": p.Name, "Kind": p.Kind, "Module": p.Module, "Binary": p.Binary(), "Does": does[p.Kind],
		"Go": goVersion, "SDK": sdkVersion, "Variable": upper + "_KEY",
	}
	values["Env"] = ""
	if p.Kind == "identity-provider" || p.Kind == "token-broker" { // their configurations have a key in a variable
		values["Env"] = upper + "_KEY=$(openssl rand -hex 32) "
	}
	files := map[string][]byte{}
	for _, folder := range []string{"module", p.Kind} {
		from := path.Join("templates", folder)
		entries, err := fs.ReadDir(templates, from)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			t, err := template.New(e.Name()).Option("missingkey=error").ParseFS(templates, path.Join(from, e.Name()))
			if err != nil {
				return nil, err
			}
			var text bytes.Buffer
			if err := t.Execute(&text, values); err != nil {
				return nil, err
			}
			name := strings.TrimSuffix(e.Name(), ".tmpl")
			if name == "gitignore" {
				name = ".gitignore"
			}
			files[name] = text.Bytes()
			if strings.HasSuffix(name, ".go") { // how lines are laid out depends on the length of the name
				if files[name], err = format.Source(text.Bytes()); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return files, nil
}
