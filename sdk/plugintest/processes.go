package plugintest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// processChecks are run once, each on a process of its own. The case is one whose settings are taken; of no kind if there is
// none.
var processChecks = []check{
	{name: "malformed messages", did: "sent bytes that are no message, to each service and on the session, then opened the session again and called", rule: "what is no message is refused; the process lives and goes on", run: checkMalformed},
	{name: "large messages", did: "sent a message of just under 4 MiB, and one of 5 MiB", rule: "each side accepts messages of 4 MiB; a larger one ends its call at most, not the process", run: checkLarge},
	{name: "stages in one leg", did: "ran stages of different kinds in one leg, and one by one", rule: "the steps of a leg make what they would make one by one: each reads what those before it made, and behind both mappers the credential is made of it", of: func(s *suite, _ Case) bool { return len(chains(s)) > 0 }, run: checkLegs},
	{name: "parts that are not offered", did: "configured a type and a kind that the manifest does not have, and released what does not exist", rule: "what is not offered is an error of that instance, and an unknown id is none of Release", run: checkNotOffered},
	{name: "killed and started again", did: "killed the process while calls were under way, and started another one", rule: "nothing that a process leaves behind keeps the next one from starting, with the same manifest", of: killable, run: checkKilled},
	{name: "shutdown", did: "made a call and asked the process to end, as the host does (plugin.GRPCController.Shutdown)", rule: "a process ends by itself, with the exit status 0, before the host ends it by force", of: killable, run: checkShutdown},
}

func killable(s *suite, _ Case) bool { return s.plugin.Kill != nil }

// rawCodec sends bytes as they are.
type rawCodec struct{}

// Marshal is encoding.Codec's.
func (rawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("plugintest: bytes are sent, not a %T", v)
	}
	return *b, nil
}

// Unmarshal is encoding.Codec's.
func (rawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("plugintest: bytes are received, not a %T", v)
	}
	*b = slices.Clone(data)
	return nil
}

// Name is encoding.Codec's.
func (rawCodec) Name() string { return "proto" }

// methods are those that a part of each kind serves.
var methods = map[sdk.Kind]string{
	sdk.KindIdentityProvider:     pluginv1.IdentityProvider_Identify_FullMethodName,
	sdk.KindPrincipalMapper:      pluginv1.PrincipalMapper_MapPrincipal_FullMethodName,
	sdk.KindPrincipalRolesMapper: pluginv1.PrincipalRolesMapper_MapRoles_FullMethodName,
	sdk.KindAuthenticator:        pluginv1.Authenticator_Authenticate_FullMethodName,
	sdk.KindActiveRolesProvider:  pluginv1.ActiveRolesProvider_ActiveRoles_FullMethodName,
	sdk.KindTokenBroker:          pluginv1.TokenBroker_Verify_FullMethodName,
	sdk.KindSecretResolver:       pluginv1.SecretResolver_Resolve_FullMethodName,
	sdk.KindCredentialVendor:     pluginv1.CredentialVendor_Vend_FullMethodName,
}

// junk is no message: a tag without an end, a length without content, a wrong wire type, text.
var junk = [][]byte{[]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), {0x0a, 0x7f, 1}, {0x0f}, []byte("GET / HTTP/1.1\r\n\r\n")}

func checkMalformed(ctx context.Context, s *suite, c Case) error {
	x, err := s.again(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	called := []string{pluginv1.Plugin_Describe_FullMethodName, pluginv1.Plugin_Configure_FullMethodName, pluginv1.Plugin_Release_FullMethodName}
	for _, o := range x.manifest.Offers {
		called = append(called, methods[o.Kind])
	}
	slices.Sort(called)
	for _, method := range slices.Compact(called) {
		for _, b := range junk {
			var reply []byte
			if err := x.plugin.Conn.Invoke(ctx, method, &b, &reply, grpc.ForceCodec(rawCodec{})); err == nil {
				return fmt.Errorf("%s takes %q for a message", method, b)
			}
		}
		if err := x.alive(ctx); err != nil {
			return fmt.Errorf("after bytes that are no message for %s: %w", method, err)
		}
	}
	if x.manifest.Session != rpc.SessionNone {
		_ = x.stillWorks(ctx, c) // the plugin has its session then: one that it took up late would take the place of the last one
		if err := x.breakSession(ctx); err != nil {
			return err
		}
	}
	return x.stillWorks(ctx, c)
}

// breakSession sends junk on the session stream and opens it again.
func (s *suite) breakSession(ctx context.Context) error {
	for _, b := range junk {
		broken, cancel := context.WithCancel(ctx)
		stream, err := s.plugin.Conn.NewStream(broken, &pluginv1.Session_ServiceDesc.Streams[0], pluginv1.Session_Open_FullMethodName, grpc.ForceCodec(rawCodec{}))
		if err == nil {
			_ = stream.SendMsg(&b) // whether it gets there is not the question
			_ = stream.CloseSend()
			var reply []byte
			for err == nil {
				err = stream.RecvMsg(&reply)
			}
		}
		cancel()
		if ctx.Err() != nil {
			return errors.New("a session on which bytes came that are no message does not end")
		}
	}
	if err := s.process.OpenSession(s.life); err != nil {
		return fmt.Errorf("after a session that broke: %w", err)
	}
	return nil
}

// alive says how the process ended, or that it does not answer.
func (s *suite) alive(ctx context.Context) error {
	if err := s.plugin.gone(); err != nil {
		return err
	}
	_, err := s.process.Describe(ctx, "plugintest")
	return err
}

// stillWorks makes the call of a case that is of a kind.
func (s *suite) stillWorks(ctx context.Context, c Case) error {
	if err := s.alive(ctx); err != nil || c.Kind == 0 {
		return err
	}
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(c.works(ctx, i), s.release(ctx, i))
}

// end stops the suite's process.
func (s *suite) end() {
	if s.plugin.gone() == nil {
		_ = s.plugin.Stop() // how it ends is another check's question
	}
}

func checkLarge(ctx context.Context, s *suite, c Case) error {
	x, err := s.again(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	describe := func(bytes int) error {
		b, err := proto.Marshal(&pluginv1.DescribeRequest{HostVersion: strings.Repeat("x", bytes)})
		if err != nil {
			return err
		}
		var reply []byte
		return x.plugin.Conn.Invoke(ctx, pluginv1.Plugin_Describe_FullMethodName, &b, &reply, grpc.ForceCodec(rawCodec{}), grpc.MaxCallSendMsgSize(8<<20))
	}
	if err := describe(rpc.MaxMessage - 1024); err != nil {
		return fmt.Errorf("a message of just under 4 MiB is not taken: %w", err)
	}
	_ = describe(5 << 20) // taken or not
	if err := x.stillWorks(ctx, c); err != nil {
		return fmt.Errorf("after a message of 5 MiB: %w", err)
	}
	return nil
}

func checkNotOffered(ctx context.Context, s *suite, c Case) error {
	x, err := s.again(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	for _, in := range []rpc.Instance{
		{Kind: x.manifest.Offers[0].Kind, Type: "plugintest-not-offered", Settings: []byte(`{}`)},
		{Kind: 99, Type: x.manifest.Offers[0].Type, Settings: []byte(`{}`)},
		{Kind: x.manifest.Offers[0].Kind, Settings: nil},
	} {
		in.ID = s.last.Add(1)
		ds, err := x.process.Configure(ctx, []rpc.Instance{in})
		if errors.Is(err, rpc.ErrLost) {
			return fmt.Errorf("the kind %d of type %q: %w", in.Kind, in.Type, err)
		}
		if err == nil && !slices.ContainsFunc(ds, isFault) {
			return fmt.Errorf("the kind %d of type %q, which is not offered, can be configured", in.Kind, in.Type)
		}
	}
	if err := x.process.Release(ctx, []uint64{1 << 60, 1<<60 + 1}); err != nil {
		return fmt.Errorf("release of what does not exist: %w", err)
	}
	return x.stillWorks(ctx, c)
}

func checkKilled(ctx context.Context, s *suite, c Case) error {
	x, err := s.again(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	if c.Kind != 0 {
		i, err := x.instance(ctx, c)
		if err != nil {
			return err
		}
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				for x.plugin.gone() == nil && ctx.Err() == nil && c.Call(ctx, i) == nil { // until it is lost
				}
			})
		}
		defer calls.Wait()
	}
	x.plugin.Kill()
	for x.plugin.gone() == nil {
		select {
		case <-ctx.Done():
			return errors.New("the process has not ended although it was killed")
		case <-time.After(10 * time.Millisecond):
		}
	}
	y, err := s.again(ctx)
	if err != nil {
		return fmt.Errorf("a process after one that was killed: %w", err)
	}
	defer y.end()
	if !reflect.DeepEqual(x.manifest, y.manifest) {
		return errors.New("a process after one that was killed has another manifest")
	}
	return y.stillWorks(ctx, c)
}

func checkShutdown(ctx context.Context, s *suite, c Case) error {
	x, err := s.again(ctx)
	if err != nil {
		return err
	}
	defer x.end()
	if err := x.stillWorks(ctx, c); err != nil {
		return err
	}
	return x.plugin.Stop()
}
