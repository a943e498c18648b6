package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
)

// reloads serves a reload function with a server whose time limits are far below what a reload may take.
func reloads(t *testing.T, reload ReloadFunc) *Client {
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
	c := reloads(t, func(ctx context.Context, o ReloadOptions, _ func(ReloadWatched)) (ReloadReport, error) {
		got = o
		select {
		case <-ctx.Done():
			return ReloadReport{}, ctx.Err()
		case <-time.After(500 * time.Millisecond): // as long as plugins are watched
			return want, nil
		}
	})
	o := ReloadOptions{DryRun: true, Fresh: true, AllowUnavailable: true, WithoutLock: true}
	if report, err := c.Reload(t.Context(), o, nil); err != nil || !reflect.DeepEqual(report, want) || got != o {
		t.Errorf("%+v %v, asked for %+v", report, err, got)
	}
	if s := want.Blocks[0].String(); s != `realm "a"` {
		t.Error(s)
	}
}

// Who accepts lines hears at once that plugins are watched, and then how it ends, be it well or not; who does not gets one
// answer with its status.
func TestReloadWatched(t *testing.T) {
	for _, fails := range []error{nil, errors.New("config.hcl:3:1: it did not stay well"), fmt.Errorf("x: %w", audit.ErrUnwritten)} {
		heard := make(chan ReloadWatched, 1)
		c := reloads(t, func(ctx context.Context, _ ReloadOptions, watched func(ReloadWatched)) (ReloadReport, error) {
			watched(ReloadWatched{Plugins: []string{"acme"}, Seconds: 1.5})
			select {
			case w := <-heard: // before there is an answer
				return ReloadReport{Unserved: w.Plugins}, fails
			case <-time.After(10 * time.Second):
				return ReloadReport{}, errors.New("nothing was heard")
			}
		})
		report, err := c.Reload(t.Context(), ReloadOptions{}, func(w ReloadWatched) { heard <- w })
		e, refused := errors.AsType[*Error](err)
		switch {
		case fails == nil && (err != nil || !reflect.DeepEqual(report.Unserved, []string{"acme"})):
			t.Errorf("%+v %v", report, err)
		case errors.Is(fails, audit.ErrUnwritten) && (!refused || e.Code != CodeUnaudited):
			t.Errorf("%v", err)
		case fails != nil && !errors.Is(fails, audit.ErrUnwritten) && (!refused || e.Code != CodeRefused || e.Message != fails.Error()):
			t.Errorf("%v", err)
		}
		heard <- ReloadWatched{}
		resp, err := c.http.Transport.RoundTrip(httptest.NewRequest(http.MethodPost, "http://x"+ReloadPath, strings.NewReader("{}")))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if ok := resp.StatusCode == http.StatusOK; ok != (fails == nil) || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("without lines, %v: %s", fails, resp.Status)
		}
	}
}

// Who does not want to hear that plugins are watched hears how it ends.
func TestReloadNobodyListens(t *testing.T) {
	want := ReloadReport{Blocks: []BlockChange{}, Unserved: []string{"a"}}
	c := reloads(t, func(_ context.Context, _ ReloadOptions, watched func(ReloadWatched)) (ReloadReport, error) {
		watched(ReloadWatched{Plugins: []string{"acme"}})
		return want, nil
	})
	if report, err := c.Reload(t.Context(), ReloadOptions{}, nil); err != nil || !reflect.DeepEqual(report, want) {
		t.Errorf("%+v %v", report, err)
	}
}

// A daemon that ends in the midst of its answer has not said how the reload ended.
func TestReloadCutOff(t *testing.T) {
	c := reloads(t, func(_ context.Context, _ ReloadOptions, watched func(ReloadWatched)) (ReloadReport, error) {
		watched(ReloadWatched{})
		panic(http.ErrAbortHandler)
	})
	if report, err := c.Reload(t.Context(), ReloadOptions{}, func(ReloadWatched) {}); err == nil {
		t.Errorf("%+v", report)
	}
}

func TestReloadRefused(t *testing.T) {
	const why = "config.hcl:3:1: unknown key\n  3 | x = …"
	c := reloads(t, func(context.Context, ReloadOptions, func(ReloadWatched)) (ReloadReport, error) {
		return ReloadReport{}, errors.New(why)
	})
	_, err := c.Reload(t.Context(), ReloadOptions{}, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusConflict || e.Code != CodeRefused || e.Message != why {
		t.Errorf("%v", err)
	}
	c = reloads(t, func(context.Context, ReloadOptions, func(ReloadWatched)) (ReloadReport, error) {
		return ReloadReport{}, fmt.Errorf("x: %w", audit.ErrUnwritten)
	})
	_, err = c.Reload(t.Context(), ReloadOptions{}, nil)
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
