package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Connection is a remote system as it is kept. Its secrets are references. What may be in it is checked by who makes it.
type Connection struct {
	Realm, Name        string
	Type, URI          string
	RemoteName         string // remote catalog name or warehouse, by the type
	AuthenticationType string
	Authentication     json.RawMessage // a JSON object; under the key of a secret stands its reference
	IdentityType       string          // empty: no service identity
	IdentityARN        string
	IdentityRef        string
	SignHosts          []string
	Properties         map[string]string
	Created, Updated   time.Time
	Version            int64 // moves with every change and is never used twice in a realm
}

// NewConnection says what a connection is created with. Realm, times and version are not looked at. Keep are the planned
// references that become kept with it.
type NewConnection struct {
	Connection
	Keep []sdk.SecretRef
}

// ConnectionUpdate replaces all of a connection but its name. Keep are planned references that become kept, Doom are
// references that it no longer has; those of them that were not written for it are left alone.
type ConnectionUpdate struct {
	Connection
	ExpectVersion int64 // the version that the change is based on; 0: any
	Keep, Doom    []sdk.SecretRef
}

const connectionColumns = `SELECT realm, name, type, uri, remote_name, authentication_type, authentication, identity_type, identity_arn,
	identity_ref, sign_hosts, properties, created, updated, version FROM connections WHERE realm = ? AND `

func scanConnection(row scanner) (Connection, error) {
	var c Connection
	var authentication, hosts, properties string
	var created, updated int64
	err := row.Scan(&c.Realm, &c.Name, &c.Type, &c.URI, &c.RemoteName, &c.AuthenticationType, &authentication, &c.IdentityType, &c.IdentityARN,
		&c.IdentityRef, &hosts, &properties, &created, &updated, &c.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return Connection{}, ErrNotFound
	}
	if err != nil {
		return Connection{}, err
	}
	c.Authentication = json.RawMessage(authentication)
	if err := errors.Join(json.Unmarshal([]byte(hosts), &c.SignHosts), json.Unmarshal([]byte(properties), &c.Properties)); err != nil {
		return Connection{}, fmt.Errorf("the stored connection %q cannot be read: %w", c.Name, err)
	}
	c.Created, c.Updated = fromStored(created), fromStored(updated)
	return c, nil
}

// ConnectionOwner gives the owner of the secrets of a connection, as it is planned.
func ConnectionOwner(name string) string { return "connections/" + name }

// CreateConnection adds a connection; its name must be free ([ErrExists]).
func (d *Directory) CreateConnection(ctx context.Context, realm string, n NewConnection) (out Connection, err error) {
	defer wrap(&err, "create connection %q", n.Name)
	hosts, properties, err := n.encode()
	if err != nil {
		return Connection{}, err
	}
	_, err = d.change(ctx, realm, func(c *change) error {
		c.still = true
		c.lastConnection++
		added, err := c.exec(ctx, `INSERT INTO connections (realm, name, type, uri, remote_name, authentication_type, authentication,
			identity_type, identity_arn, identity_ref, sign_hosts, properties, created, updated, version)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			realm, n.Name, n.Type, n.URI, n.RemoteName, n.AuthenticationType, string(n.Authentication),
			n.IdentityType, n.IdentityARN, n.IdentityRef, hosts, properties, toStored(c.now), toStored(c.now), c.lastConnection)
		if err == nil && added == 0 {
			err = ErrExists
		}
		if err == nil {
			err = c.keepSecrets(ctx, ConnectionOwner(n.Name), n.Keep)
		}
		if err == nil {
			out, err = c.connection(ctx, n.Name)
		}
		return err
	})
	if err != nil {
		return Connection{}, err
	}
	return out, nil
}

// encode checks what the tables rely on and gives the lists as they are kept.
func (c Connection) encode() (hosts, properties string, err error) {
	if err := checkName("name", c.Name); err != nil {
		return "", "", err
	}
	if !json.Valid(c.Authentication) {
		return "", "", &InvalidError{"authentication", "is not JSON"}
	}
	if c.SignHosts == nil {
		c.SignHosts = []string{}
	}
	list, err := json.Marshal(c.SignHosts)
	if err != nil {
		return "", "", err
	}
	properties, err = encode(c.Properties)
	return string(list), properties, err
}

// connection finds a connection within a change.
func (c *change) connection(ctx context.Context, name string) (Connection, error) {
	if !possible(name) {
		return Connection{}, ErrNotFound
	}
	return scanConnection(c.row(ctx, connectionColumns+"name = ?", c.realm, name))
}

// GetConnection gives a connection.
func (d *Directory) GetConnection(ctx context.Context, realm, name string) (_ Connection, err error) {
	defer wrap(&err, "connection %q", name)
	if !possible(realm, name) {
		return Connection{}, ErrNotFound
	}
	return scanConnection(d.read.QueryRowContext(ctx, d.dialect.rebind(connectionColumns+"name = ?"), realm, name))
}

// ListConnections gives the connections of a realm, and the After of the next page, empty behind the last one.
func (d *Directory) ListConnections(ctx context.Context, realm string, page Page) (_ []Connection, next string, err error) {
	defer wrap(&err, "list connections")
	all, err := list(ctx, d, connectionColumns+"name > ? ORDER BY name LIMIT ?", realm, page, scanConnection)
	if n := len(all.items); n > 0 && all.more {
		next = all.items[n-1].Name
	}
	return all.items, next, err
}

// UpdateConnection replaces a connection and gives it as it is now. [ErrConflict] says that it is not at the expected version.
func (d *Directory) UpdateConnection(ctx context.Context, realm, name string, u ConnectionUpdate) (out Connection, err error) {
	defer wrap(&err, "update connection %q", name)
	u.Name = name
	hosts, properties, err := u.encode()
	if err != nil {
		return Connection{}, err
	}
	_, err = d.change(ctx, realm, func(c *change) error {
		c.still = true
		have, err := c.connection(ctx, name)
		if err != nil {
			return err
		}
		if u.ExpectVersion != 0 && u.ExpectVersion != have.Version {
			return ErrConflict
		}
		c.lastConnection++
		err = c.one(ctx, `UPDATE connections SET type = ?, uri = ?, remote_name = ?, authentication_type = ?, authentication = ?, identity_type = ?,
			identity_arn = ?, identity_ref = ?, sign_hosts = ?, properties = ?, updated = ?, version = ? WHERE realm = ? AND name = ?`,
			u.Type, u.URI, u.RemoteName, u.AuthenticationType, string(u.Authentication), u.IdentityType,
			u.IdentityARN, u.IdentityRef, hosts, properties, toStored(c.now), c.lastConnection, realm, name)
		if err == nil {
			err = c.keepSecrets(ctx, ConnectionOwner(name), u.Keep)
		}
		if err == nil {
			err = c.doomSecrets(ctx, ConnectionOwner(name), u.Doom)
		}
		if err == nil {
			out, err = c.connection(ctx, name)
		}
		return err
	})
	if err != nil {
		return Connection{}, err
	}
	return out, nil
}

// DeleteConnection removes a connection and dooms the secrets that were written for it. expectVersion is as in
// ConnectionUpdate.
func (d *Directory) DeleteConnection(ctx context.Context, realm, name string, expectVersion int64) (err error) {
	defer wrap(&err, "delete connection %q", name)
	_, err = d.change(ctx, realm, func(c *change) error {
		c.still = true
		have, err := c.connection(ctx, name)
		if err != nil {
			return err
		}
		if expectVersion != 0 && expectVersion != have.Version {
			return ErrConflict
		}
		_, err = c.exec(ctx, "UPDATE written_secrets SET state = 'doomed', since = ? WHERE realm = ? AND owner = ? AND state = 'kept'",
			toStored(c.now), realm, ConnectionOwner(name))
		if err != nil {
			return err
		}
		return c.one(ctx, "DELETE FROM connections WHERE realm = ? AND name = ?", realm, name)
	})
	return err
}
