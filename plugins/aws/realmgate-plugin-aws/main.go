package main

import (
	"context"
	"os"

	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/parts"
	"github.com/realmgate/realmgate/sdk/serve"
)

// version is set by the linker; empty: as sdk/serve finds it.
var version string

const commands = "realmgate-plugin-aws login   makes a bearer token out of your AWS credentials; login --help says more"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "login" {
		os.Exit(login.Run(context.Background(), os.Args[2:], os.Stdout, os.Stderr))
	}
	os.Exit(serve.Run(serve.Config{Name: "aws", Version: version, Implementations: parts.Implementations(), Commands: commands}))
}
