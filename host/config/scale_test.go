package config

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkLoad loads ten thousand realms and a variable.
func BenchmarkLoad(b *testing.B) {
	var text strings.Builder
	text.WriteString("authentication {\n token_broker {\n bits = 2048\n }\n}\n")
	for i := range 10000 {
		fmt.Fprintf(&text, "realm \"r%d\" {\n hosts = [\"r%d.example.com\"]\n authentication {\n timeout = \"1s\"\n }\n}\n", i, i)
	}
	opts := Options{Default: []byte(text.String()), DefaultName: "c.hcl", Environ: []string{"REALMGATE_LOG__LEVEL=debug"}}
	for b.Loop() {
		if cfg, diags := Load(opts); cfg == nil {
			b.Fatal(diags.Err())
		}
	}
}
