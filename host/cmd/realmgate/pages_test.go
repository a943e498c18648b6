package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
)

var (
	ourCommand = regexp.MustCompile(`(?m)(?:^ *|[(;|] ?|bin/|BIN/)realmgate ((?:'[^']*'|"[^"]*"|[^\n#|<>&;)'"])*)`)
	shellWord  = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)
)

// Every command of ours in every page is one that the command line takes, whether the block is run or not.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	blocks, err := doctest.All(buildtest.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, b := range blocks {
		if !strings.HasPrefix(b.Info, "sh") {
			continue
		}
		for _, m := range ourCommand.FindAllStringSubmatch(strings.ReplaceAll(b.Text, "\\\n", " "), -1) {
			found++
			readable(t, b.String(), m[1])
		}
	}
	if found < 50 {
		t.Errorf("only %d commands: are they found?", found)
	}
}

// Nor is there one in a unit of systemd that does not exist.
func TestCommandsOfTheUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob(filepath.Join(buildtest.Root(t), "examples", "systemd", "*.service"))
	if err != nil || len(units) < 2 {
		t.Fatal(units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		_, line, ok := strings.Cut(strings.ReplaceAll(string(text), "\\\n", " "), "\nExecStart=/usr/local/bin/realmgate ")
		if !ok {
			t.Errorf("%s starts no daemon", unit)
		}
		line, _, _ = strings.Cut(line, "\n")
		readable(t, unit, line)
	}
}

// readable parses a command line of ours.
func readable(t *testing.T, at, line string) {
	t.Helper()
	var args []string
	for _, word := range shellWord.FindAllString(line, -1) {
		args = append(args, strings.NewReplacer(`'`, "", `"`, "").Replace(word))
	}
	var c cli
	parser, err := kong.New(&c, kong.Name("realmgate"), kong.Writers(io.Discard, os.Stderr), kong.Exit(func(int) {}), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Errorf("%s: realmgate %s: %v", at, line, err)
	}
}
