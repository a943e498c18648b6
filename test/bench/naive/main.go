package main

import (
	"os"

	"github.com/realmgate/realmgate/plugins/default/parts"
	"github.com/realmgate/realmgate/sdk/serve"
)

func main() {
	os.Exit(serve.Run(serve.Config{Name: "default", Version: "naive", Implementations: parts.Implementations(), UnaryOnly: true}))
}
