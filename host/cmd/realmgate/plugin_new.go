package main

import (
	"cmp"
	"fmt"

	"github.com/realmgate/realmgate/host/scaffold"
)

type pluginNew struct {
	Name   string   `arg:"" help:"Name of the plugin, and of the type of its part: acme makes realmgate-plugin-acme."`
	Kind   string   `required:"" help:"What the part does: active-roles-provider, authenticator, credential-vendor, identity-provider, principal-mapper, principal-roles-mapper, secret-resolver or token-broker."`
	With   []string `placeholder:"ABILITY" help:"What the part is to do besides: request-signer (of a credential-vendor) or secret-writer (of a secret-resolver)."`
	Lang   string   `enum:"go" default:"go" help:"Language that it is written in: go."`
	Dir    string   `placeholder:"DIR" type:"path" help:"Folder to make; realmgate-plugin-NAME unless given. It must not be there, or be empty."`
	Module string   `placeholder:"PATH" help:"Path of the Go module; example.com/realmgate-plugin-NAME unless given."`
}

// Run writes the folder and says what to do next.
func (p pluginNew) Run(std streams) error {
	made := scaffold.Plugin{Name: p.Name, Kind: p.Kind, With: p.With}
	made.Module = cmp.Or(p.Module, "example.com/"+made.Binary())
	dir := cmp.Or(p.Dir, made.Binary())
	files, err := made.Write(dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		fmt.Fprintf(std.out, "%s/%s\n", dir, name)
	}
	_, err = fmt.Fprintf(std.out, `
Next, in %s (the modules of Realmgate are not published yet: CHECKOUT is where a copy of its source is):

  go mod edit -replace github.com/realmgate/realmgate/sdk=CHECKOUT/sdk -replace github.com/realmgate/realmgate/proto=CHECKOUT/proto
  go mod tidy && go test ./...
  go build -o %s .
  realmgate plugin verify --case case.json ./%[2]s
`, dir, made.Binary())
	return err
}
