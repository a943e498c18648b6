package main

import (
	"github.com/realmgate/realmgate/plugins/default/parts"
	"github.com/realmgate/realmgate/sdk/serve"
)

// version is set by the linker; empty: as sdk/serve finds it.
var version string

func main() { serve.Main("default", version, parts.Implementations()...) }
