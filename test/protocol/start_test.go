package protocol

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/internal/doctest"
)

// pluginArg is the first argument of a process that is a plugin, and no test.
const pluginArg = "be-a-plugin"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == pluginArg {
		if err := bePlugin(os.Args[2], os.Args[3]); err != nil {
			log.Fatal(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bePlugin is a plugin that does no more than the page says of the start and the end. form is the line that it prints, with PATH, PORT and CERT
// in it; its environment is written to a file.
func bePlugin(form, file string) error {
	raw, err := json.Marshal(os.Environ())
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return err
	}
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	if strings.Contains(form, "ELSEWHERE") {
		dir, err := os.MkdirTemp("", "")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		socket = filepath.Join(dir, "s")
	}
	network, address := "unix", socket
	if strings.Contains(form, "PORT") {
		network, address = "tcp", "127.0.0.1:0"
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	var options []grpc.ServerOption
	var der []byte
	if host := os.Getenv("PLUGIN_CLIENT_CERT"); host != "" {
		own, err := selfSigned()
		if err != nil {
			return err
		}
		der = own.Certificate[0]
		trusted := x509.NewCertPool()
		trusted.AppendCertsFromPEM([]byte(host))
		options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted, MinVersion: tls.VersionTLS12,
		})))
	}
	server := grpc.NewServer(options...)
	well := health.NewServer()
	well.SetServingStatus("plugin", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, well)
	over := make(chan struct{})
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "plugin.GRPCController", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Shutdown", Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
			close(over)
			return &emptypb.Empty{}, nil // no bytes, like an Empty of anybody's
		},
	}}}, nil)
	go func() { _ = server.Serve(listener) }()
	certificate := base64.RawStdEncoding.EncodeToString(der)
	line := strings.NewReplacer("PATH", socket, "ELSEWHERE", socket, "PORT", listener.Addr().String(), "CERT", certificate,
		"PADDED", base64.StdEncoding.EncodeToString(der)+"=").Replace(form)
	if before, after, ok := strings.Cut(line, "FILL"); ok { // to 8 KiB, with its end
		line = before + strings.Repeat("x", 8<<10-len(before)-1) + after
	}
	fmt.Println(line)
	<-over
	server.GracefulStop()
	return nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// start starts this binary as a plugin that prints the line, and gives its environment by name, and what became of it.
func start(t *testing.T, form string, withTLS bool) (env map[string]string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "environment")
	image, err := child.Load(child.Program{Path: self, Args: []string{pluginArg, form, file}, Env: map[string]string{"OWN": "1"}, TLS: withTLS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.Close)
	starter, err := child.NewStarter("", hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = starter.Close() })
	p, err := starter.Start(t.Context(), image, child.Options{Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: t.Output()}), Handshake: 30 * time.Second, Connect: 30 * time.Second})
	if err == nil {
		if !p.Answers(t.Context()) {
			t.Errorf("%q: it does not answer", form)
		}
		p.Stop(time.Minute, nil)
		if !p.Succeeded() {
			t.Errorf("%q: it ended otherwise than with the status 0: %v", form, p.Ended())
		}
	}
	raw, readErr := os.ReadFile(file)
	if readErr != nil {
		t.Fatal(readErr)
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	env = map[string]string{}
	for _, v := range list {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return env, err
}

// Processes have the variables of the page and no others.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	named := column(table(t, "variable", "meaning"), 0)
	for _, withTLS := range []bool{true, false} {
		line := "1|1|unix|PATH|grpc|CERT"
		env, err := start(t, line, withTLS)
		if err != nil {
			t.Fatal(err)
		}
		want := append(slices.Clone(named), "OWN")
		if !withTLS {
			want = slices.DeleteFunc(want, func(s string) bool { return s == "PLUGIN_CLIENT_CERT" })
		}
		var got []string
		for name := range env {
			got = append(got, name)
		}
		same(t, fmt.Sprintf("variables, TLS %v", withTLS), got, want)
		if env["REALMGATE_PLUGIN"] != "realmgate.plugin.v1" || env["REALMGATE_PLUGIN_LOG_LEVEL"] != "warn" || env["GOMEMLIMIT"] != fmt.Sprint(child.DefaultMemory/100*90) {
			t.Errorf("the environment is %v", env)
		}
		if !withTLS {
			continue
		}
		block, _ := pem.Decode([]byte(env["PLUGIN_CLIENT_CERT"]))
		if block == nil {
			t.Fatalf("the host's certificate is %q", env["PLUGIN_CLIENT_CERT"])
		}
		host, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := host.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P521() {
			t.Errorf("the host's key is a %T", host.PublicKey)
		}
	}
}

// The line is taken in the forms that the page has, and in no other.
func TestLine(t *testing.T) {
	t.Parallel()
	shown := strings.TrimSpace(doctest.Only(t, "docs/plugins/protocol.md", "text line"))
	shown = strings.NewReplacer("/path/of/the/socket", "PATH", "CERTIFICATE", "CERT").Replace(shown)
	bare := strings.TrimSuffix(shown, "|CERT")
	for _, c := range []struct {
		name, line string
		tls, taken bool
	}{
		{"as shown", shown, true, true},
		{"as shown, without TLS", shown, false, true},
		{"without TLS, and without the |", bare, false, true},
		{"TLS without a certificate", bare + "|", true, false},
		{"base64 with padding", bare + "|PADDED", true, false},
		{"a loopback address", strings.NewReplacer("unix", "tcp", "PATH", "PORT").Replace(shown), true, true},
		{"a socket elsewhere", strings.Replace(shown, "PATH", "ELSEWHERE", 1), true, false},
		{"another version of go-plugin", "2" + shown[1:], true, false},
		{"another version of the contract", "1|2" + shown[3:], true, false},
		{"another transport", strings.Replace(shown, "grpc", "netrpc", 1), true, false},
		{"8 KiB", bare + "||FILL", false, true},
		{"more than 8 KiB", bare + "||FILL+", false, false},
		{"something before it", "hello\n" + shown, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := start(t, c.line, c.tls); (err == nil) != c.taken {
				t.Errorf("%q: %v", c.line, err)
			}
		})
	}
}
