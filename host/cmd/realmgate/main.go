package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/realmgate/realmgate/host/child"
)

// version is set by the linker, else it is the one that `go install` was asked for, if there is one.
var version = "dev"

// cli is the whole command line.
type cli struct {
	Config []string `short:"c" placeholder:"PATH" env:"REALMGATE_CONFIG" sep:"," type:"path" help:"Configuration file, or a folder of *.hcl files; may be repeated. Without it ./config.hcl is read, then /etc/realmgate/config.hcl, then the built-in default."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Serve      serveCmd      `cmd:"" help:"Run the daemon."`
	Reload     reloadCmd     `cmd:"" help:"Have the running daemon take its configuration as it is now, through its admin socket."`
	Dev        devCmd        `cmd:"" help:"Run a daemon with a plugin that is being written, built anew with each change, and print every decision."`
	Validate   validateCmd   `cmd:"" help:"Check a configuration, with the plugins that it names, and exit."`
	Explain    explainCmd    `cmd:"" help:"Show how the running daemon decides on a token, stage by stage, through its admin socket."`
	Settings   configCmd     `cmd:"" name:"config" help:"Print a configuration as it counts, or make one of another server's."`
	Principal  principalCmd  `cmd:"" help:"Manage the principals of a realm, through the daemon's admin socket."`
	Role       roleCmd       `cmd:"" help:"Manage the principal roles of a realm, through the daemon's admin socket."`
	Connection connectionCmd `cmd:"" help:"Manage and use the connections of a realm to remote systems, through the daemon's admin socket or over HTTP."`
	Proxy      proxyCmd      `cmd:"" help:"Run a local reverse proxy that signs requests to connections."`
	Key        keyCmd        `cmd:"" help:"Manage the keys that sign tokens, in a folder that token brokers read."`
	Secret     secretCmd     `cmd:"" help:"Read and write secret stores, through the daemon's admin socket."`
	Plugin     pluginCmd     `cmd:"" help:"Look at plugins, and lock them."`
	Login      loginCmd      `cmd:"" help:"Make a token that proves who you are elsewhere."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// streams are where commands print to.
type streams struct {
	out *os.File
	err io.Writer
}

func main() {
	child.Main()
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	os.Exit(run(os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// Exit codes: 0 done, 1 failed, 2 the command line is wrong.
func run(args []string, std streams) int {
	var c cli
	code := -1
	parser, err := kong.New(&c, kong.Name("realmgate"),
		kong.Description("An authentication daemon in which every decision is made by parts that are swapped by configuration."),
		kong.Writers(std.out, std.err), kong.Exit(func(n int) { code = n }), kong.UsageOnError(),
		kong.Vars{"version": "realmgate " + version}, kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(std.err, "realmgate:", err)
		return 1
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if code >= 0 { // help was printed
		return code
	}
	if err != nil {
		return misread(std.err, err)
	}
	ctx := context.Background()
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(&c, std); err != nil {
		return failed(std.err, commandOf(kctx), err)
	}
	return 0
}

// commandOf gives the words of a command, without its arguments.
func commandOf(k *kong.Context) string {
	var words []string
	for _, p := range k.Path {
		if p.Command != nil {
			words = append(words, p.Command.Name)
		}
	}
	return strings.Join(words, " ")
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(std streams) error {
	_, err := fmt.Fprintf(std.out, "realmgate %s\n", version)
	return err
}
