package main

import (
	"github.com/realmgate/realmgate/plugins/aws/parts"
	"github.com/realmgate/realmgate/sdk/serve"
)

// version is set by the linker.
var version = "dev"

func main() { serve.Main("aws", version, parts.Implementations()...) }
