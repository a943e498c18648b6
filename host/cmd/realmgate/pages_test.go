package main

import (
	"io"
	"os"
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
			var args []string
			for _, word := range shellWord.FindAllString(m[1], -1) {
				args = append(args, strings.NewReplacer(`'`, "", `"`, "").Replace(word))
			}
			found++
			var c cli
			parser, err := kong.New(&c, kong.Name("realmgate"), kong.Writers(io.Discard, os.Stderr), kong.Exit(func(int) {}), kong.Vars{"version": ""})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(args); err != nil {
				t.Errorf("%s: realmgate %s: %v", b, m[1], err)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d commands: are they found?", found)
	}
}
