package rpc

import (
	"log/slog"

	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
)

// Server is the plugin's half of the contract: what a process offers, to be registered with a gRPC server.
type Server struct {
	Name, Version, Build string
	Implementations      []sdk.Implementation
	Logger               *slog.Logger // nil: nothing is logged
	UnaryOnly            bool         // stages are not taken on the session stream, only on the unary services
}

// Register registers the services that the implementations need. Two implementations with the same kind and type are an
// error.
func (s *Server) Register(g grpc.ServiceRegistrar) error { return errSkeleton }
