package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
)

// ReloadPath is where a reload is asked for, by POST.
const ReloadPath = "/v1/reload"

// ReloadOptions say how the daemon takes its configuration.
type ReloadOptions struct {
	DryRun           bool `json:"dry_run,omitempty"`           // only say what would change
	Fresh            bool `json:"fresh,omitempty"`             // build every part anew
	AllowUnavailable bool `json:"allow_unavailable,omitempty"` // also if a part cannot do its work now, or a plugin does not start
}

// ReloadReport says what a reload changed, or would change.
type ReloadReport struct {
	DryRun      bool          `json:"dry_run"`
	Blocks      []BlockChange `json:"blocks"`
	Plugins     PluginChanges `json:"plugins"`
	Unserved    []string      `json:"unserved,omitempty"`    // realms that were served and are not any more
	Unavailable []string      `json:"unavailable,omitempty"` // what cannot be used now, and is taken all the same
	Warnings    []string      `json:"warnings,omitempty"`
}

// BlockChange is what became of a block of the configuration.
type BlockChange struct {
	Kind   string      `json:"kind,omitempty"` // e.g. realm; empty for the keys at the top
	Name   string      `json:"name,omitempty"`
	Change string      `json:"change"`       // added, removed or changed
	At     string      `json:"at,omitempty"` // file:line:column
	Keys   []KeyChange `json:"keys,omitempty"`
}

// String gives the block as it is written.
func (b BlockChange) String() string {
	switch {
	case b.Kind == "":
		return "top level"
	case b.Name == "":
		return b.Kind
	}
	return b.Kind + " \"" + b.Name + "\""
}

// KeyChange is a key that differs. The values are JSON, or … where they are not shown; empty where the key is not set.
type KeyChange struct {
	Key string `json:"key"`
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	At  string `json:"at,omitempty"`
}

// PluginChanges says which plugin processes are started, replaced by others, and stopped.
type PluginChanges struct {
	Started  []string   `json:"started,omitempty"`
	Replaced []Replaced `json:"replaced,omitempty"`
	Stopped  []string   `json:"stopped,omitempty"`
	Lost     []string   `json:"lost,omitempty"` // end, although the configuration has them: the new process does not start
}

// Replaced is a plugin that has another process than before.
type Replaced struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// ReloadHandler serves [ReloadPath]. It answers when the reload is done, which may take as long as plugins are watched.
func ReloadHandler(reload func(context.Context, ReloadOptions) (ReloadReport, error), log hclog.Logger) http.Handler {
	h := &handler{Deps{Logger: log}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r}
		if err := c.reload(reload); err != nil {
			h.fail(c, err)
		}
	})
}

func (c *call) reload(reload func(context.Context, ReloadOptions) (ReloadReport, error)) error {
	if c.r.Method != http.MethodPost {
		c.w.Header().Set("Allow", http.MethodPost)
		return &Error{Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed, Message: "the method is not offered here"}
	}
	var o ReloadOptions
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxBody)
	if err := c.decode(&o); err != nil {
		return err
	}
	if err := http.NewResponseController(c.w).SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	report, err := reload(c.r.Context(), o)
	switch {
	case errors.Is(err, audit.ErrUnwritten):
		return err
	case err != nil:
		return &Error{Status: http.StatusConflict, Code: CodeRefused, Message: err.Error()}
	}
	report.Blocks = nonNil(report.Blocks)
	return c.write(http.StatusOK, report)
}

// Reload has the daemon take its configuration as it is now. The error is an *Error of the code [CodeRefused] if the daemon
// serves on with what it had; its message has the reasons, with their places, line by line. It waits for as long as it takes.
func (c *Client) Reload(ctx context.Context, o ReloadOptions) (out ReloadReport, err error) {
	patient := *c.http
	patient.Timeout = 0
	err = (&Client{&patient, c.at}).do(ctx, http.MethodPost, ReloadPath, o, &out)
	return out, err
}
