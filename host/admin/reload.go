package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	WithoutLock      bool `json:"without_lock,omitempty"`      // also if the lock file of the plugins is gone that was in force
}

// ReloadReport says what a reload changed, or would change.
type ReloadReport struct {
	DryRun      bool          `json:"dry_run"`
	Blocks      []BlockChange `json:"blocks"`
	Plugins     PluginChanges `json:"plugins"`
	Lock        string        `json:"lock,omitempty"`        // what became of the lock file: added, removed or changed
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

// ReloadWatched says that the new configuration serves, and that plugin processes are watched which were started for it.
type ReloadWatched struct {
	Plugins []string `json:"plugins"` // names
	Seconds float64  `json:"seconds"`
}

// Lines is the media type of an answer of several lines, each of which is one JSON object. Who accepts it hears of what a
// reload does while it lasts.
const Lines = "application/x-ndjson"

// reloadLine is a line of such an answer. It has one of these; the last line is not Watched.
type reloadLine struct {
	Watched *ReloadWatched `json:"watched,omitempty"`
	Report  *ReloadReport  `json:"report,omitempty"`
	Error   *Error         `json:"error,omitempty"`
}

// ReloadFunc reloads, see [ReloadHandler]. It tells watched, at most once, that plugins are watched. An error that is no
// *Error says why the daemon serves on with what it had.
type ReloadFunc func(ctx context.Context, o ReloadOptions, watched func(ReloadWatched)) (ReloadReport, error)

// ReloadHandler serves [ReloadPath]. It answers when the reload is done, which may take as long as plugins are watched.
func ReloadHandler(reload ReloadFunc, log hclog.Logger) http.Handler {
	h := &handler{Deps{Logger: log}}
	return h.alone(func(c *call) error { return h.reload(c, reload) })
}

func (h *handler) reload(c *call, reload ReloadFunc) error {
	var o ReloadOptions
	if err := c.posted(&o); err != nil {
		return err
	}
	if err := http.NewResponseController(c.w).SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	said := false // a line
	report, err := reload(c.r.Context(), o, func(w ReloadWatched) {
		if said = c.r.Header.Get("Accept") == Lines; said {
			c.line(reloadLine{Watched: &w})
		}
	})
	if _, worded := errors.AsType[*Error](err); err != nil && !worded && !errors.Is(err, audit.ErrUnwritten) {
		err = &Error{Status: http.StatusConflict, Code: CodeRefused, Message: err.Error()}
	}
	report.Blocks = nonNil(report.Blocks)
	switch {
	case said && err != nil:
		c.line(reloadLine{Error: h.translate(c, err)})
		return nil
	case said:
		c.line(reloadLine{Report: &report})
		return nil
	case err != nil:
		return err
	}
	return c.write(http.StatusOK, report)
}

// line answers with a line, at once. A caller that has gone needs none.
func (c *call) line(v reloadLine) {
	c.w.Header().Set("Content-Type", Lines)
	c.w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(c.w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	_ = http.NewResponseController(c.w).Flush()
}

// Reload has the daemon take its configuration as it is now. The error is an *Error of the code [CodeRefused] if the daemon
// serves on with what it had; its message has the reasons, with their places, line by line. It waits for as long as it takes;
// watched is told if plugins are watched meanwhile; nil: nobody is.
func (c *Client) Reload(ctx context.Context, o ReloadOptions, watched func(ReloadWatched)) (ReloadReport, error) {
	resp, err := c.patient().ask(ctx, http.MethodPost, ReloadPath, http.Header{"Accept": {Lines}}, o)
	if err != nil {
		return ReloadReport{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	d := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.Header.Get("Content-Type") != Lines {
		var out ReloadReport
		if err := d.Decode(&out); err != nil {
			return out, fmt.Errorf("%s: its answer: %w", c.at, err)
		}
		return out, nil
	}
	for {
		var l reloadLine
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF):
			return ReloadReport{}, fmt.Errorf("%s: its answer has no end: it may have stopped; its log says what became of the reload", c.at)
		case err != nil:
			return ReloadReport{}, fmt.Errorf("%s: its answer: %w", c.at, err)
		case l.Error != nil:
			return ReloadReport{}, l.Error
		case l.Report != nil:
			return *l.Report, nil
		case l.Watched != nil && watched != nil:
			watched(*l.Watched)
		}
	}
}
