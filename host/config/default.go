package config

import _ "embed"

//go:embed default.hcl
var defaultHCL string

// DefaultName is the file name that diagnostics give to the built-in configuration.
const DefaultName = "(built-in)/config.hcl"

// Default gives the configuration that the daemon uses if it is given none, as text. The file config.hcl at the top of the
// repository is the same.
func Default() []byte { return []byte(defaultHCL) }
