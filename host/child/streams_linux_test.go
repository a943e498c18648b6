package child

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/realmgate/realmgate/sdk/serve"
)

const floodMessages = 50000

// floodStreams answers every stream of go-plugin with messages without an end. Whatever a message is, its first field is a
// number: who is to be connected, which output was printed to, or that it serves.
func floodStreams(out, err io.Writer) {
	l, e := net.Listen("unix", filepath.Join(os.Getenv(plugin.EnvUnixSocketDir), "s"))
	if e != nil {
		_, _ = fmt.Fprintln(err, e)
		os.Exit(1)
	}
	_, _ = fmt.Fprintf(out, "%d|%d|unix|%s|grpc|\n", plugin.CoreProtocolVersion, serve.Handshake.ProtocolVersion, l.Addr())
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.Method(stream.Context())
		if method != brokerStream { // there the host would be the second to speak
			if e := stream.RecvMsg(&emptypb.Empty{}); e != nil {
				return e
			}
		}
		if strings.HasPrefix(method, "/grpc.health.") {
			return stream.SendMsg(wrapperspb.UInt32(1))
		}
		for n := uint32(1); ; n++ {
			if e := stream.SendMsg(wrapperspb.UInt32(n)); e != nil {
				return e
			}
			if n == floodMessages {
				_, _ = fmt.Fprintln(err, "flooded", method)
			}
		}
	}))
	_ = s.Serve(l)
	os.Exit(1)
}

// TestFloodedStreams: what a plugin sends on the streams of go-plugin costs the host no memory.
func TestFloodedStreams(t *testing.T) {
	n := newNursery(t)
	s := program(t, "flood streams")
	s.TLS = false
	before := runtime.NumGoroutine()
	p := n.start(t, load(t, s))
	var most atomic.Int64
	watch := func() { most.Store(max(most.Load(), int64(runtime.NumGoroutine()-before))) }
	waitFor(t, "much was sent as output", func() bool {
		watch()
		return strings.Contains(n.log.String(), "flooded /plugin.GRPCStdio/StreamStdio")
	})
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // that nothing grows cannot be waited for
		watch()
	}
	answers(t, p)
	if most.Load() > 1000 || strings.Contains(n.log.String(), brokerStream) {
		t.Errorf("the host has %d goroutines more", most.Load())
	}
}
