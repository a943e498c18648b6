package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/sdk"
)

type connectionCredentials struct {
	connectionName
	NarrowTo    []string     `placeholder:"URI" help:"Limit the credentials to this, e.g. s3://bucket/folder; may be repeated."`
	MinLifetime sdk.Duration `placeholder:"DURATION" help:"How long they have to be good for, e.g. PT30M or 30m."`
	Reveal      bool         `help:"Print the values, which are secrets."`
}

// hidden stands for a secret. Whatever a vendor answers is taken for one, but for what is known to be open.
const hidden = "[secret]"

var inTheOpen = []string{"client.region", "rest.sigv4-enabled", "rest.signing-name", "rest.signing-region", "expiration-time", "s3.session-token-expires-at-ms"}

// Run asks for credentials.
func (q connectionCredentials) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := q.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.ConnectionCredentials(ctx, q.Realm, q.Name, admin.CredentialsQuery{NarrowTo: q.NarrowTo, MinLifetimeSeconds: int64(q.MinLifetime.Std().Seconds())})
	if err != nil {
		return err
	}
	if !q.Reveal {
		for name := range got.Properties {
			if !slices.Contains(inTheOpen, name) {
				got.Properties[name] = hidden
			}
		}
	}
	if got.Short {
		fmt.Fprintln(std.err, "realmgate: the credentials end sooner than was asked for")
	}
	return q.print(std, got, func(w io.Writer) {
		for _, name := range slices.Sorted(maps.Keys(got.Properties)) {
			row(w, name, got.Properties[name])
		}
		if got.ExpiresAt != nil {
			row(w, "expires at", got.ExpiresAt.Format(time.RFC3339))
		}
		if got.AuditID != "" {
			row(w, "audit id", got.AuditID)
		}
	})
}

type connectionSign struct {
	connectionName
	Method        string       `arg:"" help:"Method of the request, e.g. GET."`
	URL           string       `arg:"" name:"target" help:"URL of the request; its host is the connection's own, or one of its sign hosts."`
	Header        []string     `short:"H" sep:"none" placeholder:"NAME: VALUE" help:"Header of the request; may be repeated."`
	PayloadSHA256 string       `name:"payload-sha256" placeholder:"HASH" help:"SHA-256 of the body in hex, or what the service takes in its place, e.g. UNSIGNED-PAYLOAD."`
	PayloadFile   string       `placeholder:"PATH" help:"File with the body, which is hashed here; - is standard input. Without it, and without --payload-sha256, there is none."`
	Presign       bool         `help:"Print a URL that carries the signature."`
	Expires       sdk.Duration `placeholder:"DURATION" help:"With --presign: how long the URL is good for, e.g. PT15M or 15m."`
}

// Help gives examples.
func (connectionSign) Help() string {
	return `Printed are the headers to send, one a line, as curl reads them. They are as good as a password for as long as the signature lasts.

Examples:

  URL=https://glue.eu-central-1.amazonaws.com/iceberg/v1/config
  realmgate connection sign -r demo glue GET $URL | curl -H @- $URL
  realmgate connection sign -r demo glue POST $URL --payload-file body.json | curl -H @- --data-binary @body.json $URL
  realmgate connection sign -r demo glue POST $URL | curl -H @- -X POST $URL   # without a body
  curl "$(realmgate connection sign -r demo lake GET https://lake.s3.amazonaws.com/a/b --presign --expires 15m)"`
}

// Run has the request signed.
func (s connectionSign) Run(ctx context.Context, c *cli, std streams) error {
	headers := map[string][]string{}
	for _, h := range s.Header {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return wrongUsage("--header: write NAME: VALUE")
		}
		headers[name] = append(headers[name], strings.TrimSpace(value))
	}
	if s.Expires != 0 && !s.Presign {
		return wrongUsage("--expires goes with --presign")
	}
	hash, err := s.hash()
	if err != nil {
		return err
	}
	cl, err := s.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.SignForConnection(ctx, s.Realm, s.Name, admin.SignQuery{
		Method: strings.ToUpper(s.Method), URI: s.URL, Headers: headers, PayloadSHA256: hash, Presign: s.Presign, ExpiresInSeconds: int64(s.Expires.Std().Seconds()),
	})
	if err != nil {
		return err
	}
	if s.Presign && !s.JSON {
		_, err := fmt.Fprintln(std.out, got.URI)
		return err
	}
	if !s.Presign && got.URI != s.URL {
		fmt.Fprintln(std.err, "realmgate: the signature is for this URL, which the remote system may tell from the one that was given:", got.URI)
	}
	return s.print(std, got, func(w io.Writer) {
		for _, name := range slices.Sorted(maps.Keys(got.Headers)) {
			for _, v := range got.Headers[name] {
				fmt.Fprintf(w, "%s: %s\n", name, v)
			}
		}
	})
}

// hash gives what is signed of the body.
func (s connectionSign) hash() (string, error) {
	switch {
	case s.PayloadFile == "":
		return s.PayloadSHA256, nil
	case s.PayloadSHA256 != "":
		return "", wrongUsage("--payload-file and --payload-sha256 exclude each other")
	}
	in := os.Stdin
	if s.PayloadFile != "-" {
		f, err := os.Open(s.PayloadFile)
		if err != nil {
			return "", fmt.Errorf("--payload-file: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return "", fmt.Errorf("--payload-file: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
