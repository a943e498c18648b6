package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// moody is a token broker that tells who answers, by its tag, and does what its block and its tokens tell it to.
type moody struct {
	Tag  string        `json:"tag" doc:"reason of its denials"`
	Down string        `json:"down,omitempty" doc:"file whose presence makes it unable to work"`
	Gone string        `json:"gone,omitempty" doc:"file whose presence keeps it from being built"`
	Key  sdk.SecretRef `json:"key,omitempty" doc:"what it tells of if it is asked to"`

	serial int64
}

var serials atomic.Int64 // of the instances of a process

func newMoody(_ context.Context, _ sdk.Setup, m moody) (*moody, error) {
	if m.Tag == "wrong" {
		return nil, sdk.At(errors.New("no broker has this tag"), "tag")
	}
	if _, err := os.Stat(m.Gone); m.Gone != "" && err == nil {
		return nil, fmt.Errorf("what it needs is gone: %w", context.DeadlineExceeded)
	}
	m.serial = serials.Add(1)
	return &m, nil
}

func (m *moody) Issue(context.Context, sdk.Grant) (sdk.Token, error) {
	return sdk.Token{}, errors.New("this broker issues nothing")
}

// Verify denies with the tag. A token wait~<file> is held until the file is there, tell tells the key, and fail makes it fail.
func (m *moody) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	if file, ok := strings.CutPrefix(r.Token, "wait~"); ok {
		for _, err := os.Stat(file); err != nil && ctx.Err() == nil; _, err = os.Stat(file) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if r.Token == "tell" {
		key, err := m.Key.Value(ctx)
		if err != nil {
			return sdk.Credential{}, err
		}
		if n := sdk.NotesOf(ctx); n != nil {
			n.Add("signed with %s", key.Reveal())
		}
		return sdk.Credential{}, sdk.Deny(m.Tag, "not signed with %s", key.Reveal())
	}
	if r.Token == "fail" {
		return sdk.Credential{}, errors.New("this build takes nothing")
	}
	return sdk.Credential{}, sdk.Deny(m.Tag, "by instance %d of process %d", m.serial, os.Getpid())
}

// Check says whether the broker can work.
func (m *moody) Check(context.Context) error {
	if _, err := os.Stat(m.Down); m.Down != "" && err == nil {
		return errors.New("what it needs is down")
	}
	return nil
}

// moodyPlugin ends or falls silent when its environment says so, and the file DOOM is there.
func moodyPlugin() {
	doom := func(end func()) {
		for _, err := os.Stat(os.Getenv("DOOM")); err != nil; _, err = os.Stat(os.Getenv("DOOM")) {
			time.Sleep(5 * time.Millisecond)
		}
		end()
	}
	switch os.Getenv("MOOD") {
	case "dies":
		go doom(func() { os.Exit(7) })
	case "silent":
		go doom(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) })
	case "mute":
		fmt.Println("no plugin at all")
		os.Exit(0)
	}
	serve.Main("moody", "1", sdk.TokenBrokerType("moody", newMoody))
}

// moodyConfig is a configuration with the plugin at path and a realm "mood" whose broker has a tag, beside a realm "calm"
// that has nothing to do with it.
func moodyConfig(path, tag string) string {
	return fmt.Sprintf(`plugin_health_window = "500ms"
plugin "moody" {
  path = %q
  env  = { MOOD = "good" }
}
realm "calm" {}
realm "mood" {
  authentication {
    timeout = "20s"
    token_broker {
      type = "moody"
      tag  = %q
    }
  }
}
`, path, tag)
}

// answers fails unless realm mood's broker answers with the tag.
func (d *gate) answers(t *testing.T, tag string) {
	t.Helper()
	if a := d.check("mood", "x"); a.reason() != tag {
		t.Errorf("the broker answers %d %q, want %q", a.status, a.text, tag)
	}
}
