package config

import (
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Quote gives a text as a configuration has it, in quotes: what HCL would take for a template or an escape is written so that
// the text itself is read back. What is no UTF-8 becomes U+FFFD.
func Quote(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }
