package main

import (
	"context"
	"os"

	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/parts"
	"github.com/realmgate/realmgate/sdk/serve"
)

// version is set by the linker.
var version = "dev"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "login" {
		os.Exit(login.Run(context.Background(), os.Args[2:], os.Stdout, os.Stderr))
	}
	serve.Main("aws", version, parts.Implementations()...)
}
