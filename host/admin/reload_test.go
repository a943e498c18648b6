package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
)

// reloads serves a reload function with a server whose time limits are far below what a reload may take.
func reloads(t *testing.T, reload func(context.Context, ReloadOptions) (ReloadReport, error)) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: ReloadHandler(reload, hclog.NewNullLogger()), ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	c := NewClient(path)
	c.http.Timeout = 50 * time.Millisecond
	t.Cleanup(c.Close)
	return c
}

func TestReload(t *testing.T) {
	want := ReloadReport{
		Blocks:  []BlockChange{{Kind: "realm", Name: "a", Change: "changed", At: "c.hcl:1:1", Keys: []KeyChange{{"hosts", "", `["x"]`, "c.hcl:2:3"}}}},
		Plugins: PluginChanges{Replaced: []Replaced{{Name: "acme", Why: "its binary changed"}}},
	}
	var got ReloadOptions
	c := reloads(t, func(ctx context.Context, o ReloadOptions) (ReloadReport, error) {
		got = o
		select {
		case <-ctx.Done():
			return ReloadReport{}, ctx.Err()
		case <-time.After(500 * time.Millisecond): // as long as plugins are watched
			return want, nil
		}
	})
	o := ReloadOptions{DryRun: true, Fresh: true, AllowUnavailable: true}
	if report, err := c.Reload(t.Context(), o); err != nil || !reflect.DeepEqual(report, want) || got != o {
		t.Errorf("%+v %v, asked for %+v", report, err, got)
	}
	if s := want.Blocks[0].String(); s != `realm "a"` {
		t.Error(s)
	}
}

func TestReloadRefused(t *testing.T) {
	const why = "config.hcl:3:1: unknown key\n  3 | x = …"
	c := reloads(t, func(context.Context, ReloadOptions) (ReloadReport, error) { return ReloadReport{}, errors.New(why) })
	_, err := c.Reload(t.Context(), ReloadOptions{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusConflict || e.Code != CodeRefused || e.Message != why {
		t.Errorf("%v", err)
	}
	c = reloads(t, func(context.Context, ReloadOptions) (ReloadReport, error) {
		return ReloadReport{}, fmt.Errorf("x: %w", audit.ErrUnwritten)
	})
	_, err = c.Reload(t.Context(), ReloadOptions{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeUnaudited {
		t.Errorf("%v", err)
	}
	for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: `{"dryrun":true}`} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://x"+ReloadPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http.Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode/100 != 4 || resp.StatusCode == http.StatusConflict {
			t.Errorf("%s %s: %d", method, body, resp.StatusCode)
		}
	}
}
