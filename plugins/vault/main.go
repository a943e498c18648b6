package main

import (
	"github.com/realmgate/realmgate/plugins/vault/parts"
	"github.com/realmgate/realmgate/sdk/serve"
)

// version is set by the linker.
var version = "dev"

func main() { serve.Main("vault", version, parts.Implementations()...) }
