package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/realmgate/realmgate/host/scaffold"
)

type pluginNew struct {
	Name   string   `arg:"" help:"Name of the plugin, and of the type of its part: acme makes realmgate-plugin-acme."`
	Kind   string   `required:"" help:"What the part does: active-roles-provider, authenticator, credential-vendor, identity-provider, principal-mapper, principal-roles-mapper, secret-resolver or token-broker."`
	With   []string `placeholder:"ABILITY" help:"What the part is to do besides: request-signer (of a credential-vendor) or secret-writer (of a secret-resolver)."`
	Lang   string   `enum:"go" default:"go" help:"Language that it is written in: go."`
	Dir    *string  `placeholder:"DIR" help:"Folder to make; realmgate-plugin-NAME unless given. It must not be there, or be empty."`
	Module string   `placeholder:"PATH" help:"Path of the Go module; example.com/realmgate-plugin-NAME unless given."`
}

// Run writes the folder and says what to do next.
func (p pluginNew) Run(std streams) error {
	made := scaffold.Plugin{Name: p.Name, Kind: p.Kind, With: p.With, SDK: releasedSDK()}
	made.Module = cmp.Or(p.Module, "example.com/"+made.Binary())
	dir := made.Binary()
	if p.Dir != nil {
		if *p.Dir == "" { // a path that is expanded would be the working directory
			return errors.New("--dir: the path of a folder is wanted")
		}
		dir = kong.ExpandPath(*p.Dir)
	}
	files, err := made.Write(dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		fmt.Fprintf(std.out, "%s/%s\n", dir, name)
	}
	checkout := ""
	if made.SDK == "" {
		checkout = `  # CHECKOUT is where the source is that this daemon was built from:
  go mod edit -replace github.com/realmgate/realmgate/sdk=CHECKOUT/sdk -replace github.com/realmgate/realmgate/proto=CHECKOUT/proto
`
	}
	_, err = fmt.Fprintf(std.out, `
Next, in %s:

%s  go mod tidy && go test ./...
  go build -o %s .
  realmgate plugin verify --case case.json ./%[3]s
`, dir, checkout, made.Binary())
	return err
}

// releasedSDK is the version of the SDK that this daemon was built with if both are of a release. A checkout's has none.
func releasedSDK() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	at := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == "github.com/realmgate/realmgate/sdk" })
	if at < 0 || info.Deps[at].Replace != nil || info.Deps[at].Version == "(devel)" {
		return ""
	}
	return info.Deps[at].Version
}
