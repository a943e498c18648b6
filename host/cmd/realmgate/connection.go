package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
)

type connectionCmd struct {
	Create       connectionCreate      `cmd:"" help:"Create a connection to a remote system."`
	Get          connectionGet         `cmd:"" help:"Show a connection."`
	List         connectionList        `cmd:"" help:"List connections."`
	Update       connectionUpdate      `cmd:"" help:"Change a connection; secrets that are not given stay."`
	Delete       connectionDelete      `cmd:"" help:"Delete a connection with the secrets that were written for it."`
	RotateSecret connectionRotate      `cmd:"" help:"Give one secret of a connection a new value, or another reference."`
	Repoint      connectionRepoint     `cmd:"" help:"Point a connection to another service identity of the configuration."`
	Credentials  connectionCredentials `cmd:"" help:"Ask for short-lived credentials; --reveal prints them."`
	Sign         connectionSign        `cmd:"" help:"Have a request signed, and print the headers to send or a presigned URL."`
	Test         connectionTest        `cmd:"" help:"Ask for credentials without showing them, and ask the remote system for anything."`
}

// link is how a command reaches the connections of a realm: by the daemon's admin socket, as its operator, or over HTTP, as
// whoever the token is for.
type link struct {
	Socket    string `placeholder:"PATH" help:"The daemon's admin socket; the configuration says where it is."`
	URL       string `name:"url" env:"REALMGATE_CLI_URL" help:"Ask the daemon at this public URL, over HTTP, with a token, instead of its admin socket."`
	TokenFile string `env:"REALMGATE_CLI_TOKEN_FILE" type:"path" placeholder:"PATH" help:"With --url: where a bearer token of the realm is. The file is read for each request."`
	Realm     string `short:"r" required:"" env:"REALMGATE_CLI_REALM" help:"The realm."`
}

// connectionDoor is a link whose answers are printed.
type connectionDoor struct {
	link
	JSON bool `help:"Print JSON."`
}

func (d connectionDoor) print(std streams, v any, table func(w io.Writer)) error {
	return door{JSON: d.JSON}.print(std, v, table)
}

func (l link) client(c *cli, std streams) (*admin.Client, error) {
	switch {
	case l.URL == "" && l.TokenFile == "":
		return door{Socket: l.Socket}.client(c, std)
	case l.URL == "" || l.TokenFile == "":
		return nil, wrongUsage("--url and --token-file go together")
	case l.Socket != "":
		return nil, wrongUsage("--socket and --url exclude each other")
	}
	return admin.NewRemoteClient(l.URL, l.token)
}

// token reads the token anew each time: tokens are short-lived, and whoever gets them writes the file.
func (l link) token() (string, error) {
	text, err := os.ReadFile(l.TokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("--token-file: %s has no token in it", l.TokenFile)
	}
	return token, nil
}

func connectionRows(w io.Writer, c connection.Connection) {
	a := c.Info.Authentication
	row(w, "name", c.Name)
	for _, x := range []struct{ name, value string }{
		{"type", c.Info.Type}, {"uri", c.Info.URI}, {"remote catalog name", c.Info.RemoteCatalogName}, {"warehouse", c.Info.Warehouse},
		{"authentication", a.Type}, {"token uri", a.TokenURI}, {"client id", a.ClientID}, {"scopes", strings.Join(a.Scopes, " ")},
		{"role", a.RoleARN}, {"session name", a.RoleSessionName}, {"external id", a.ExternalID}, {"session policy", a.SessionPolicy},
		{"access key id", a.AccessKeyID}, {"region", a.SigningRegion}, {"signing name", a.SigningName},
	} {
		if x.value != "" {
			row(w, x.name, x.value)
		}
	}
	if id := c.Info.ServiceIdentity; id != nil {
		row(w, "service identity", id.IAMARN)
		row(w, "identity reference", id.Reference)
	}
	for _, field := range slices.Sorted(maps.Keys(c.SecretReferences)) {
		row(w, "secret "+field, c.SecretReferences[field].String())
	}
	for _, k := range slices.Sorted(maps.Keys(c.Properties)) {
		row(w, "property "+k, c.Properties[k])
	}
	if len(c.SignHosts) > 0 {
		row(w, "sign hosts", list(c.SignHosts))
	}
	row(w, "version", c.Version)
	row(w, "created", c.Created.Format(time.RFC3339))
	row(w, "updated", c.Updated.Format(time.RFC3339))
}

// readOnly is what a connection shows beside what it is made of: nobody wonders that a file that was made of it is not asked.
var readOnly = []string{"secretReferences", "created", "updated", "ignored", "serviceIdentity"}

// shown prints a connection that was changed, and what of the body meant nothing.
func (d connectionDoor) shown(std streams, c connection.Connection) error {
	ignored := slices.DeleteFunc(slices.Clone(c.Ignored), func(path string) bool {
		return slices.Contains(readOnly, path[strings.LastIndexByte(path, '.')+1:])
	})
	if len(ignored) > 0 {
		fmt.Fprintf(std.err, "realmgate: not taken from the body: %s\n", strings.Join(ignored, ", "))
	}
	return d.print(std, c, func(w io.Writer) { connectionRows(w, c) })
}

// connectionName names a connection.
type connectionName struct {
	connectionDoor
	Name string `arg:"" help:"Name of the connection."`
}

type connectionGet struct{ connectionName }

// Run shows the connection.
func (g connectionGet) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := g.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.Connection(ctx, g.Realm, g.Name)
	if err != nil {
		return err
	}
	return g.shown(std, got)
}

type connectionList struct {
	connectionDoor
	After string `help:"Start behind this name."`
	Limit int    `help:"At most so many; 0 for all." default:"0"`
}

// Run lists connections, page by page.
func (l connectionList) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := l.client(c, std)
	if err != nil {
		return err
	}
	all := connection.Page{Connections: []connection.Connection{}}
	page := admin.Page{After: l.After, Limit: l.Limit}
	for {
		got, err := cl.Connections(ctx, l.Realm, page)
		if err != nil {
			return err
		}
		all.Connections = append(all.Connections, got.Connections...)
		all.Next = got.Next
		if got.Next == "" || l.Limit > 0 {
			break
		}
		page.After = got.Next
	}
	return l.print(std, all, func(w io.Writer) {
		row(w, "NAME", "TYPE", "AUTHENTICATION", "VERSION", "URI")
		for _, x := range all.Connections {
			row(w, x.Name, x.Info.Type, x.Info.Authentication.Type, x.Version, x.Info.URI)
		}
		if all.Next != "" {
			row(w, fmt.Sprintf("(more: --after %s)", all.Next))
		}
	})
}

// atVersion lets a change be based on a version.
type atVersion struct {
	IfVersion int64 `placeholder:"N" help:"Change it only if it is at this version, as get shows it."`
}

type connectionDelete struct {
	connectionName
	atVersion
}

// Run deletes the connection.
func (d connectionDelete) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := d.client(c, std)
	if err != nil {
		return err
	}
	return cl.DeleteConnection(ctx, d.Realm, d.Name, d.IfVersion)
}

type connectionRepoint struct {
	connectionName
	atVersion
	Identity string `arg:"" enum:"default,realm" help:"default: the service_identity at the top of the configuration; realm: the realm's own."`
}

// Run points the connection to another identity.
func (r connectionRepoint) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := r.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.RepointConnection(ctx, r.Realm, r.Name, r.Identity, r.IfVersion)
	if err != nil {
		return err
	}
	return r.shown(std, got)
}

type connectionTest struct{ connectionName }

// Run tests the connection. What does not work is a failure of the command.
func (t connectionTest) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := t.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.TestConnection(ctx, t.Realm, t.Name)
	if err != nil {
		return err
	}
	err = t.print(std, got, func(w io.Writer) {
		v := got.Credentials
		row(w, "credentials", verdict(v.OK), strings.Join(append(v.Properties, v.Message), " "))
		if v.ExpiresAt != nil {
			row(w, "expires at", v.ExpiresAt.Format(time.RFC3339))
		}
		if v.AuditID != "" {
			row(w, "audit id", v.AuditID)
		}
		if r := got.Remote; r != nil {
			text := r.Message
			if r.Status != 0 {
				text = strings.TrimSpace(fmt.Sprintf("HTTP %d %s", r.Status, r.Message))
			}
			row(w, "remote system", verdict(r.OK), r.URI, text)
		}
	})
	if err == nil && (!got.Credentials.OK || got.Remote != nil && !got.Remote.OK) {
		err = fmt.Errorf("connection %s does not work", t.Name)
	}
	return err
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "FAILED"
}
