package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk/plugintest"
	"github.com/realmgate/realmgate/sdk/rpc"
)

type pluginVerify struct {
	pluginChoice
	Case []string      `placeholder:"FILE" type:"path" help:"JSON file with a case, or a list of them: kind, type, settings, secrets and more. May be repeated."`
	Step time.Duration `default:"30s" help:"The most that one check may take."`
	Time time.Duration `default:"15m" help:"The most that all of them may take."`

	AllowUntried bool `help:"Do not fail because no call of a part was answered."`

	JSON bool `help:"Print JSON."`
	Log  bool `help:"Print to the standard error what the plugin logs."`
}

const (
	handshakeTime = 10 * time.Second // as a daemon gives
	connectTime   = 5 * time.Second
	maxPrinted    = 16 << 20 // bytes of each stream of a process that are looked at
)

// Run runs the suite and prints the report. A check that fails makes it fail.
func (p pluginVerify) Run(ctx context.Context, c *cli, std streams) (err error) {
	ctx, stop := stopSignals(ctx)
	defer stop()
	if p.Step < time.Second {
		return wrongUsage("--step: a check takes longer than %v", p.Step)
	}
	if p.Time < p.Step {
		return wrongUsage("--time: all checks take no less than --step for one of them, %v", p.Step)
	}
	limited, cancel := context.WithTimeoutCause(ctx, p.Time, fmt.Errorf("it took longer than --time %v: not all was verified", p.Time))
	defer cancel()
	cases, configured, err := p.cases(c, std)
	if err != nil {
		return err
	}
	s, err := p.source(c, std)
	if err != nil {
		return err
	}
	image, err := child.Load(s.Program)
	if err != nil {
		return fmt.Errorf("plugin %s: %s: %w", s.Name, s.Path, err)
	}
	defer image.Close()
	log := hclog.New(&hclog.LoggerOptions{Name: s.Name, Level: hclog.Debug, Output: io.Discard})
	if p.Log {
		log = hclog.New(&hclog.LoggerOptions{Name: s.Name, Level: hclog.Debug, Output: std.err})
	}
	starter, err := child.NewStarter(os.Getenv("RUNTIME_DIRECTORY"), hclog.NewNullLogger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, starter.Close()) }()
	report := verification{Name: s.Name, Path: s.Path, SHA256: image.Digest(), out: std.out, json: p.JSON}
	report.begin()
	plugintest.Verify(limited, verifyTarget(starter, image, log), plugintest.Options{Cases: cases, Step: p.Step, CasesOnly: configured}, &report)
	if err := errors.Join(report.end(), context.Cause(limited)); err != nil {
		return err
	}
	switch {
	case report.Failed > 0:
		return shownError{errors.New("the plugin does not keep to the contract")}
	case report.Untried > 0 && !p.AllowUntried:
		return fmt.Errorf("%d of its parts have not been verified, since no call of them was answered: give cases in which they work (--case), or --allow-untried", report.Untried)
	}
	return nil
}

// cases reads the files, and the configuration where there is one: one that is named, or the one that has the plugin.
func (p pluginVerify) cases(c *cli, std streams) (of func(rpc.Manifest) []plugintest.Case, configured bool, err error) {
	var written []plugintest.Case
	for _, path := range p.Case {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, false, fmt.Errorf("--case: %w", err)
		}
		more, err := plugintest.ReadCases(raw)
		if err != nil {
			return nil, false, fmt.Errorf("--case: %s: %w", path, err)
		}
		written = append(written, more...)
	}
	var cfg *config.Config
	if len(c.Config) > 0 || !p.isPath() {
		if cfg, _, err = c.load(std, nil); err != nil {
			return nil, false, err
		}
	}
	return func(m rpc.Manifest) []plugintest.Case {
		out := append([]plugintest.Case(nil), written...)
		if cfg != nil {
			out = append(out, configuredCases(cfg, m)...)
		}
		return out
	}, cfg != nil, nil
}

// verifyTarget has processes started as the daemon starts them: the same bytes, limits and environment.
func verifyTarget(starter *child.Starter, image *child.Image, log hclog.Logger) plugintest.Target {
	return plugintest.Target{Name: "binary", Start: func(ctx context.Context) (*plugintest.Plugin, error) {
		stdout, stderr := &printed{}, &printed{}
		p, err := starter.Start(ctx, image, child.Options{
			Logger: log, Handshake: handshakeTime, Connect: connectTime,
			Printed: func(s child.Stream, b []byte) {
				if s == child.Stdout {
					stdout.add(b)
				} else {
					stderr.add(b)
				}
			},
		})
		if err != nil {
			return nil, fmt.Errorf("the plugin %w", err)
		}
		ended := func() error {
			if !p.Gone() {
				return nil
			}
			return p.Ended()
		}
		return &plugintest.Plugin{
			Conn: p.Conn(), Stdout: stdout.text, Log: stderr.text, Unseen: func() int { return stdout.dropped() + stderr.dropped() },
			Kill: p.Kill, Ended: ended,
			Stop: func() error {
				if p.Gone() {
					p.Stop(0, nil)
					return ended()
				}
				p.Stop(child.StopGrace, nil)
				if p.Succeeded() {
					return nil
				}
				return fmt.Errorf("%w, and not by itself within %v, with the exit status 0", p.Ended(), child.StopGrace)
			},
		}, nil
	}}
}

// printed keeps what a process prints, in bounds.
type printed struct {
	mu   sync.Mutex
	b    bytes.Buffer
	lost int
}

func (p *printed) add(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := b[:min(len(b), maxPrinted-p.b.Len())]
	p.lost += len(b) - len(kept)
	p.b.Write(kept)
}

func (p *printed) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func (p *printed) dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}
