package connection

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// Properties under which a vendor finds what are fields of the entity.
const (
	propertyRemoteName = "remoteCatalogName"
	propertyWarehouse  = "warehouse"
)

// stored gives a connection as it is kept.
func (c *Connection) stored() (directory.Connection, error) {
	raw, err := json.Marshal(c.Info.Authentication)
	if err != nil {
		return directory.Connection{}, err
	}
	all := map[string]any{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return directory.Connection{}, err
	}
	for field, ref := range c.SecretReferences {
		all[field] = ref.String()
	}
	if raw, err = json.Marshal(all); err != nil {
		return directory.Connection{}, err
	}
	out := directory.Connection{
		Name: c.Name, Type: c.Info.Type, URI: c.Info.URI, RemoteName: c.Info.RemoteCatalogName + c.Info.Warehouse, // one of them
		AuthenticationType: c.Info.Authentication.Type, Authentication: raw, SignHosts: c.SignHosts, Properties: c.Properties,
	}
	if id := c.Info.ServiceIdentity; id != nil {
		out.IdentityType, out.IdentityARN, out.IdentityRef = id.Type, id.IAMARN, string(id.Reference)
	}
	return out, nil
}

// fromStored gives a kept connection in the form of the API.
func fromStored(d directory.Connection) (Connection, error) {
	c := Connection{
		Name: d.Name, Info: Info{Type: d.Type, URI: d.URI}, SignHosts: d.SignHosts, Properties: d.Properties,
		Created: d.Created, Updated: d.Updated, Version: d.Version,
	}
	if c.Info.RemoteCatalogName = d.RemoteName; d.Type == TypeHadoop || d.Type == TypeHive {
		c.Info.RemoteCatalogName, c.Info.Warehouse = "", d.RemoteName
	}
	var secrets map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(d.Authentication, &c.Info.Authentication), json.Unmarshal(d.Authentication, &secrets)); err != nil {
		return Connection{}, fmt.Errorf("the stored authentication parameters of connection %q cannot be read: %w", d.Name, err)
	}
	for _, field := range secretFields[d.AuthenticationType] {
		if secrets[field] == nil {
			continue
		}
		var ref sdk.SecretRef
		if err := json.Unmarshal(secrets[field], &ref); err != nil {
			return Connection{}, fmt.Errorf("the stored reference %s of connection %q cannot be read: %w", field, d.Name, err)
		}
		if c.SecretReferences == nil {
			c.SecretReferences = map[string]sdk.SecretRef{}
		}
		c.SecretReferences[field] = ref
	}
	if d.IdentityRef != "" {
		c.Info.ServiceIdentity = &ServiceIdentity{Type: d.IdentityType, IAMARN: d.IdentityARN, Reference: IdentityRef(d.IdentityRef)}
	}
	return c, nil
}

// noun gives a connection as vendors see it, without its service identity.
func noun(d directory.Connection) sdk.Connection {
	properties := maps.Clone(d.Properties)
	if properties == nil {
		properties = map[string]string{}
	}
	switch {
	case d.RemoteName == "":
	case d.Type == TypeHadoop || d.Type == TypeHive:
		properties[propertyWarehouse] = d.RemoteName
	default:
		properties[propertyRemoteName] = d.RemoteName
	}
	return sdk.Connection{
		Realm: d.Realm, Name: d.Name, Version: d.Version, Type: d.Type, URI: d.URI, AuthenticationType: d.AuthenticationType,
		Authentication: slices.Clone(d.Authentication), Properties: properties,
	}
}
