package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/pace"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// PluginName is the one name under which go-plugin knows a plugin of Realmgate.
const PluginName = "realmgate"

// LogLevelVariable is the environment variable in which the host says from which level on a plugin logs: trace, debug,
// info (without it), warn or error.
const LogLevelVariable = "REALMGATE_PLUGIN_LOG_LEVEL"

// Handshake is what host and plugin must agree on before they speak. It must not be changed.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion: 1, MagicCookieKey: "REALMGATE_PLUGIN", MagicCookieValue: "realmgate.plugin.v1",
}

// PluginSet gives what the host's go-plugin client wants: Dispense(PluginName) answers the *grpc.ClientConn.
func PluginSet() plugin.PluginSet { return plugin.PluginSet{PluginName: part{}} }

// Config is what a binary serves. Version is the plugin's own; empty: the one of its module that `go install` was asked for or
// that the Go toolchain took from the repository's tags, else "dev". Build is a free text, e.g. a commit; empty: what the Go toolchain recorded. Commands says
// what else the binary does, a line per command, e.g. "realmgate-plugin-aws login   makes a token"; a main runs them itself. With
// UnaryOnly stages are served on the unary services only, which a test uses to compare both ways.
type Config struct {
	Name, Version, Build string
	Commands             string
	Implementations      []sdk.Implementation
	UnaryOnly            bool
}

// Main serves the implementations until the host ends the process; it does not return. name is the name of the binary
// without the prefix realmgate-plugin-. Run by hand, the binary says what it is and exits with 2, with --version or --help with 0. A
// mistake in the implementations, e.g. two with the same kind and type or a settings type with a fault, ends it with 1. An empty version is as in [Config].
func Main(name, version string, impls ...sdk.Implementation) {
	os.Exit(Run(Config{Name: name, Version: version, Implementations: impls}))
}

// Run is Main for a main with more to say. It answers the exit code.
func Run(c Config) int {
	if c.Version == "" {
		c.Version = mainVersion(debug.ReadBuildInfo())
	}
	if c.Build == "" {
		c.Build = buildInfo()
	}
	return run(c, os.Args[1:], os.Getenv(Handshake.MagicCookieKey) == Handshake.MagicCookieValue, os.Stdout, os.Stderr, serve)
}

func run(c Config, args []string, cookie bool, stdout, stderr io.Writer, serve func(*rpc.Server, hclog.Logger)) int {
	server := &rpc.Server{
		Name: c.Name, Version: c.Version, Build: c.Build, Implementations: c.Implementations, UnaryOnly: c.UnaryOnly,
	}
	if err := server.Check(); err != nil {
		_, _ = fmt.Fprintf(stderr, "realmgate-plugin-%s: %v\n", c.Name, err)
		return 1
	}
	if !cookie {
		return c.introduce(args, stdout, stderr)
	}
	level := hclog.LevelFromString(os.Getenv(LogLevelVariable))
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: level, JSONFormat: true, Output: stderr})
	server.Logger = slog.New(newHandler(logger))
	slog.SetDefault(server.Logger) // a library that logs does so in a form that the host understands
	pace.Follow()
	serve(server, logger)
	return 0
}

func serve(server *rpc.Server, logger hclog.Logger) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins:         plugin.PluginSet{PluginName: part{server: server}},
		GRPCServer:      newServer,
		Logger:          logger,
	})
}

// maxStreams bounds the calls in flight.
const maxStreams = 2048

// newServer adds to the options that go-plugin gives: they carry the mutual TLS.
func newServer(opts []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(opts,
		grpc.MaxRecvMsgSize(rpc.MaxMessage), grpc.MaxSendMsgSize(rpc.MaxMessage), grpc.MaxConcurrentStreams(maxStreams))...)
}

// part is the one go-plugin "plugin" of a binary: it has all services.
type part struct {
	plugin.NetRPCUnsupportedPlugin
	server *rpc.Server // nil on the host's side
}

// GRPCServer is plugin.GRPCPlugin's.
func (p part) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	if p.server == nil {
		return errors.New("serve: this is the host's side")
	}
	return p.server.Register(g)
}

// GRPCClient is plugin.GRPCPlugin's.
func (part) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return cc, nil
}

// introduce says what the binary is.
func (c Config) introduce(args []string, stdout, stderr io.Writer) int {
	to, code := stderr, 2
	if len(args) == 1 {
		switch args[0] {
		case "--version", "-version":
			_, _ = fmt.Fprint(stdout, c.describe())
			return 0
		case "--help", "-help", "-h", "help":
			to, code = stdout, 0
		}
	}
	_, _ = fmt.Fprint(to, "This is a plugin of Realmgate. It is not run by hand: realmgate starts it, if it stands beside the\n"+
		"daemon's binary or a plugin block of the configuration names it.\n\n")
	if c.Commands != "" {
		_, _ = fmt.Fprintf(to, "What it does by hand:\n  %s\n\n", strings.ReplaceAll(strings.TrimSpace(c.Commands), "\n", "\n  "))
	}
	_, _ = fmt.Fprint(to, c.describe())
	return code
}

func (c Config) describe() string {
	out := fmt.Sprintf("name:    %s\nversion: %s\n", c.Name, c.Version)
	if c.Build != "" {
		out += fmt.Sprintf("build:   %s\n", c.Build)
	}
	out += "offers:\n"
	for _, i := range c.Implementations {
		out += fmt.Sprintf("  %v %q\n", i.Kind(), i.Type())
	}
	return out
}

// mainVersion gives the version of the module that the binary's main is in.
func mainVersion(info *debug.BuildInfo, ok bool) string {
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}

// buildInfo gives the commit and the Go version that the binary was built from and with.
func buildInfo() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	out := info.GoVersion
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			out += " " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			out += " (modified)"
		}
	}
	return out
}
