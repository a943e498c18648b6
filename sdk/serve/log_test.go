package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/sdk"
)

func TestLogLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want map[string]any // nil: no line
	}{
		"levels":  {func(l *slog.Logger) { l.Error("m") }, map[string]any{"@level": "error", "@message": "m"}},
		"below":   {func(l *slog.Logger) { l.Debug("m") }, nil},
		"secret":  {func(l *slog.Logger) { l.Info("m", "s", sdk.NewSecret([]byte("hunter2"))) }, map[string]any{"s": "[secret]"}},
		"values":  {func(l *slog.Logger) { l.Warn("m", "e", errors.New("x"), "d", time.Second, "n", 1) }, map[string]any{"e": "x", "d": "1s", "n": 1.0}},
		"groups":  {func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).Info("m", slog.Group("h", "c", 3)) }, map[string]any{"a": 1.0, "g.b": 2.0, "g.h.c": 3.0}},
		"no keys": {func(l *slog.Logger) { l.WithGroup("").Info("m", slog.Group("", "c", 3), slog.Attr{}) }, map[string]any{"c": 3.0}},
		// The host's parser must find the message and the level of the line, whatever an author adds.
		"reserved": {func(l *slog.Logger) { l.Info("m", "@message", 1, "@level", "x") }, map[string]any{"@message": "m", "@level": "info", "_message": 1.0, "_level": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			c.log(slog.New(newHandler(hclog.New(&hclog.LoggerOptions{Level: hclog.Info, JSONFormat: true, Output: &out}))))
			if c.want == nil {
				if out.Len() > 0 {
					t.Errorf("%s", out.String())
				}
				return
			}
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			for k, v := range c.want {
				if got[k] != v {
					t.Errorf("%s is %v, want %v: %s", k, got[k], v, out.String())
				}
			}
		})
	}
}
