package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/proxy"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

type proxyCmd struct {
	link
	Connection      []string     `required:"" sep:"none" placeholder:"NAME[=LISTEN]" help:"A connection, and where to listen for it: the path of a unix socket (with a slash in it; DIR/NAME.sock without one), or a loopback address such as 127.0.0.1:8080. May be repeated."`
	Dir             string       `default:"data/proxy" type:"path" help:"Where sockets and the token are that are given no place of their own."`
	ListenTokenFile string       `type:"path" placeholder:"PATH" help:"The token that clients of loopback addresses have to present. Without it, the one in DIR/token, which is made if it is missing."`
	Health          string       `placeholder:"LISTEN" help:"Answer GET /healthz and /readyz here: host:port, or the path of a unix socket."`
	MaxBody         byteSize     `default:"64MiB" placeholder:"SIZE" help:"The longest body that is kept to be hashed, where the signature covers it (${default})."`
	SignPayload     bool         `help:"Hash every body, also where the service takes requests whose body is not signed (S3 over https)."`
	HeaderTimeout   sdk.Duration `default:"2m" placeholder:"DURATION" help:"How long the remote system has for the head of its answer; the rest may take any time (${default})."`
	BodyTimeout     sdk.Duration `default:"1m" placeholder:"DURATION" help:"How long to wait for the next part of a client's body (${default})."`
	Grace           sdk.Duration `default:"30s" placeholder:"DURATION" help:"How long requests under way may take after SIGTERM (${default})."`
	DenyAddresses   []string     `placeholder:"PREFIX" help:"Networks that are never connected to, in place of the default: link-local addresses and the clouds' metadata services. none: no network is refused."`
	CAFile          string       `name:"ca-file" type:"path" placeholder:"PATH" help:"Certificates (PEM) to trust of remote systems, beside the system's."`
	LogLevel        string       `enum:"trace,debug,info,warn,error" default:"info" help:"trace, debug, info (a line per request), warn or error."`
	LogFormat       string       `enum:"text,json" default:"text" help:"text or json."`
}

// Help gives examples.
func (proxyCmd) Help() string {
	return `Requests come in without credentials, are signed by the daemon for the connection of their listener, and go to the connection's own host; path and
query stay byte by byte what they are (but for a + in the query, which SigV4 sends as %20: services sign it in two ways). Who can connect to a socket is its owner alone. On a loopback address everybody on the machine can, so a token is
demanded there: as the header Realmgate-Proxy-Token, as a bearer token, or as the access key id of a client that signs by itself.

Examples:

  realmgate proxy -r demo --connection glue --connection lake=127.0.0.1:9000
  curl --unix-socket data/proxy/glue.sock http://glue/iceberg/v1/config
  AWS_ACCESS_KEY_ID=$(cat data/proxy/token) AWS_SECRET_ACCESS_KEY=any aws --endpoint-url http://127.0.0.1:9000 s3 ls

With --url and --token-file it works for a daemon on another machine.`
}

// Run serves until SIGTERM or SIGINT.
func (p proxyCmd) Run(ctx context.Context, c *cli, std streams) error {
	ctx, stop := stopSignals(ctx)
	defer stop()
	if err := p.check(); err != nil {
		return err
	}
	deny, err := p.deny()
	if err != nil {
		return err
	}
	roots, err := p.roots()
	if err != nil {
		return err
	}
	cl, err := p.client(c, std)
	if err != nil {
		return err
	}
	defer cl.Close()
	log := logger(config.Log{Level: p.LogLevel, Format: p.LogFormat}, std).Named("proxy")
	px := proxy.New(proxy.Config{
		Realm: p.Realm, Daemon: cl, Deny: deny, RootCAs: roots, SignPayload: p.SignPayload, MaxBody: int64(p.MaxBody),
		HeaderTimeout: p.HeaderTimeout.Std(), BodyTimeout: p.BodyTimeout.Std(), Grace: p.Grace.Std(), Logger: log,
	})
	d, err := p.open(ctx, px)
	if err != nil {
		return err
	}
	for i, at := range d.where {
		log.Info("listening", at...)
		if d.places[i] != "" {
			log.Info("a token is needed there", "token_file", d.places[i])
		}
	}
	p.notify(log, daemon.SdNotifyReady)
	err = px.Serve(ctx, d.doors, d.health)
	p.notify(log, daemon.SdNotifyStopping)
	if err == nil {
		log.Info("stopped")
	}
	return err
}

func (proxyCmd) notify(log hclog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("sd_notify", "state", state, "error", err)
	}
}

func (p proxyCmd) deny() (egress.List, error) {
	switch {
	case len(p.DenyAddresses) == 0:
		return egress.Default(), nil
	case len(p.DenyAddresses) == 1 && p.DenyAddresses[0] == "none":
		return egress.AllowAll(), nil
	}
	l, err := egress.Parse(p.DenyAddresses)
	if err != nil {
		return l, fmt.Errorf("--deny-addresses: %w", err)
	}
	return l, nil
}

// roots gives the certificates that are trusted; nil: the system's.
func (p proxyCmd) roots() (*x509.CertPool, error) {
	if p.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(p.CAFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("--ca-file: the system's certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca-file: %s has no certificate in it", p.CAFile)
	}
	return pool, nil
}

// byteSize is a number of bytes, on the command line perhaps with KiB, MiB or GiB behind it.
type byteSize int64

// UnmarshalText reads a size.
func (b *byteSize) UnmarshalText(text []byte) error {
	number, shift := string(text), 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if n, ok := strings.CutSuffix(number, unit); ok {
			number, shift = n, bits
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64>>shift {
		return errors.New("it is a number of bytes, perhaps with KiB, MiB or GiB behind it")
	}
	*b = byteSize(n << shift)
	return nil
}
