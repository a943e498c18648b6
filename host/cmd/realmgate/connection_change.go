package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
)

type connectionCreate struct {
	connectionDoor
	connectionShape
	Name string `arg:"" optional:"" help:"Name of the connection, unique in the realm; a file may have it."`
}

// Help gives examples.
func (connectionCreate) Help() string {
	return `By flags, or by a JSON file in the form in which "connection get --json" shows a connection, or in that of Polaris' CreateCatalogRequest.

A secret is never given on the command line: --secret - reads it from standard input (asks for it, at a terminal), --secret @PATH from a file, and
--secret urn:realmgate-secret:... refers to one. A connection with more than one takes FIELD=SOURCE, e.g. --secret sessionToken=@PATH.

Examples:

  realmgate connection create -r demo glue --type ICEBERG_REST --uri https://glue.eu-central-1.amazonaws.com/iceberg \
      --sigv4-role-arn arn:aws:iam::123456789012:role/catalog --region eu-central-1 --signing-name glue

  realmgate connection create -r demo partner --type ICEBERG_REST --uri https://catalog.example.com/api \
      --oauth-client-id polaris --oauth-scope PRINCIPAL_ROLE:ALL --secret -

  realmgate connection create -r demo hooks --uri https://api.example.com --auth BEARER --secret @/run/secrets/hooks

  realmgate connection create -r demo --file connection.json`
}

// Run creates the connection.
func (n connectionCreate) Run(ctx context.Context, c *cli, std streams) error {
	body := map[string]any{}
	if n.File != "" {
		var err error
		if body, err = n.read(); err != nil {
			return err
		}
	}
	raw, err := n.apply(std, body, n.Name, true)
	if err != nil {
		return err
	}
	cl, err := n.client(c, std)
	if err != nil {
		return err
	}
	made, err := cl.CreateConnection(ctx, n.Realm, raw)
	if err != nil {
		return err
	}
	return n.shown(std, made)
}

type connectionUpdate struct {
	connectionName
	connectionShape
	atVersion
}

// Help gives examples.
func (connectionUpdate) Help() string {
	return `With --file the file takes the place of the connection, all but its secrets; otherwise flags change what they name. Properties are set one by
one; to take one away, use a file. Whoever changes where a secret is sent to gives the secret anew (--secret).

Examples:

  realmgate connection update -r demo glue --sigv4-role-arn arn:aws:iam::123456789012:role/other
  realmgate connection get -r demo glue --json > glue.json; $EDITOR glue.json
  realmgate connection update -r demo glue --file glue.json`
}

// Run changes the connection.
func (u connectionUpdate) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := u.client(c, std)
	if err != nil {
		return err
	}
	body, err := u.base(ctx, cl)
	if err != nil {
		return err
	}
	raw, err := u.apply(std, body, u.Name, false)
	if err != nil {
		return err
	}
	got, err := cl.UpdateConnection(ctx, u.Realm, u.Name, u.IfVersion, raw)
	if err != nil {
		return err
	}
	return u.shown(std, got)
}

// base gives what is changed: the file, or the connection as it is.
func (u connectionUpdate) base(ctx context.Context, cl *admin.Client) (map[string]any, error) {
	if u.File != "" {
		return u.read()
	}
	if u.empty() {
		return nil, wrongUsage("nothing to change: --file, or flags that say what")
	}
	have, err := cl.Connection(ctx, u.Realm, u.Name)
	if err != nil {
		return nil, err
	}
	have.SecretReferences, have.Info.ServiceIdentity = nil, nil // read only
	body := map[string]any{}
	raw, err := json.Marshal(have)
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	delete(body, "created")
	delete(body, "updated")
	body["version"] = have.Version // not by way of a float
	return body, err
}

type connectionRotate struct {
	connectionName
	atVersion
	Secret string `default:"-" placeholder:"[FIELD=]SOURCE" help:"The new secret: - (standard input, asked for at a terminal), @PATH, or a reference urn:realmgate-secret:...; FIELD where the connection has more than one: clientSecret, bearerToken, secretAccessKey, sessionToken."`
}

// Help gives an example.
func (connectionRotate) Help() string {
	return `The former value is deleted if it was written for the connection; a reference is only replaced.

Examples:

  realmgate connection rotate-secret -r demo partner
  realmgate connection rotate-secret -r demo minio --secret sessionToken=@/run/secrets/token`
}

// Run rotates the secret.
func (r connectionRotate) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	field, source := splitSecret(r.Secret)
	if field == "" {
		have, err := cl.Connection(ctx, r.Realm, r.Name)
		if err != nil {
			return err
		}
		if field, err = onlySecret(have); err != nil {
			return err
		}
	}
	value, err := secretOf(std, source)
	if err != nil {
		return err
	}
	got, err := cl.RotateConnectionSecret(ctx, r.Realm, r.Name, field, value, r.IfVersion)
	if err != nil {
		return err
	}
	return r.shown(std, got)
}

func onlySecret(c connection.Connection) (string, error) {
	switch len(c.SecretReferences) {
	case 0:
		return "", fmt.Errorf("connection %s has no secret", c.Name)
	case 1:
		for field := range c.SecretReferences {
			return field, nil
		}
	}
	return "", fmt.Errorf("connection %s has more than one secret: --secret FIELD=SOURCE says which", c.Name)
}
