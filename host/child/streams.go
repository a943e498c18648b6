package child

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// brokerStream is the stream on which go-plugin lets a plugin offer further connections.
const brokerStream = "/plugin.GRPCBroker/StartStream"

// openStream opens the streams of a connection, but for that of go-plugin's broker: nothing here takes a further connection,
// and for each that a plugin offers the broker would keep memory for five seconds, without any bound.
func openStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	if method == brokerStream {
		return nil, status.Error(codes.Unimplemented, "the host takes no further connections")
	}
	return open(ctx, desc, cc, method, o...)
}
