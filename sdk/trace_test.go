package sdk

import (
	"strings"
	"testing"
)

func TestTraceParent(t *testing.T) {
	t.Parallel()
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if ctx := WithTraceParent(t.Context(), good); TraceParent(ctx) != good || TraceID(ctx) != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("%q, %q", TraceParent(ctx), TraceID(ctx))
	}
	for _, bad := range []string{
		"", good + "-x", good[:54], strings.ToUpper(good), "01" + good[2:], "ff" + good[2:], strings.ReplaceAll(good, "-", "_"), good[:54] + "x",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0af7651916cd43dd8448eb211c8031\n\n-b7ad6b7169203331-01",
	} {
		if ctx := WithTraceParent(t.Context(), bad); TraceParent(ctx) != "" || TraceID(ctx) != "" {
			t.Errorf("%q is taken", bad)
		}
	}
}
