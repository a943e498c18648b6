// Package serve runs a plugin.
package serve

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// PluginName is the one name under which go-plugin knows a plugin of Realmgate.
const PluginName = "realmgate"

// Handshake is what host and plugin must agree on.
var Handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "REALMGATE_PLUGIN", MagicCookieValue: "realmgate.plugin.v1"}

// PluginSet gives what the host's go-plugin client wants: Dispense(PluginName) gives a grpc.ClientConnInterface.
func PluginSet() plugin.PluginSet { return plugin.PluginSet{PluginName: part{}} }

type part struct {
	plugin.NetRPCUnsupportedPlugin
	server *rpc.Server
}

func (p part) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error { return p.server.Register(g) }

func (part) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return cc, nil
}

// Main serves the implementations; it does not return.
func Main(name, version string, impls ...sdk.Implementation) {}
