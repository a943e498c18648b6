package connection

import (
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// Draft is a connection as a caller asks for it.
type Draft struct {
	Name       string // of an update: empty, or that of the connection
	Info       Info   // without a service identity
	Properties map[string]string
	SignHosts  []string
	Secrets    map[string]Given // by their key; of an update, those that are missing stay
	Version    int64            // that an update is based on; 0: not said
	Ignored    []string         // paths in the body that mean nothing here

	at string // the path of the draft in its body, with a dot at the end unless it is empty
}

// Given is a secret that a caller gives: either the value or a reference to it.
type Given struct {
	Value     sdk.Secret
	Reference sdk.SecretRef // zero: it is the value
}

// ParseDraft reads a body: a connection in the form in which the API shows it, or Polaris' CreateCatalogRequest. Whether it
// can be accepted is found out by who creates or updates it. The error is a *Fault.
func ParseDraft(body []byte) (Draft, error) {
	var d Draft
	o := readObject(body)
	if c, ok := o.object("catalog"); ok {
		o.done()
		d.at = c.at
		d.readCatalog(c)
		o = c
	}
	d.readCommon(o)
	o.done()
	if o.fault != nil {
		return Draft{}, o.fault
	}
	d.Ignored = o.ignored
	return d, nil
}

// readCatalog takes what is Polaris' only.
func (d *Draft) readCatalog(o *object) {
	if typ := o.text("type"); typ != "EXTERNAL" {
		o.fail(o.path("type"), "only a catalog of the type EXTERNAL is a connection")
	}
	d.Version = o.number("entityVersion")
	o.ignore("storageConfigInfo", "kmsConfigInfo", "createTimestamp", "lastUpdateTimestamp")
}

func (d *Draft) readCommon(o *object) {
	d.Name = o.text("name")
	if d.at == "" {
		d.Version = o.number("version")
	}
	d.Properties = o.textMap("properties")
	d.SignHosts = o.texts("signHosts")
	o.ignore("secretReferences", "created", "updated", "ignored") // of a connection that the API has shown
	info, ok := o.object("connectionConfigInfo")
	if !ok {
		o.fail(o.path("connectionConfigInfo"), "is missing")
		return
	}
	d.readInfo(info)
	info.done()
}

func (d *Draft) readInfo(o *object) {
	d.Info.Type = o.text("connectionType")
	d.Info.URI = o.text("uri")
	d.Info.RemoteCatalogName = o.text("remoteCatalogName")
	d.Info.Warehouse = o.text("warehouse")
	o.ignore("serviceIdentity")
	for k, v := range o.textMap("properties") {
		if have, ok := d.Properties[k]; ok && have != v {
			o.fail(o.path("properties")+"."+shown(k), "has another value in the properties of the catalog")
		}
		if d.Properties == nil {
			d.Properties = map[string]string{}
		}
		d.Properties[k] = v
	}
	a, ok := o.object("authenticationParameters")
	if !ok {
		o.fail(o.path("authenticationParameters"), "is missing")
		return
	}
	d.readAuthentication(a)
	a.done()
}

// secretFields are the keys of secrets, by the type of authentication.
var secretFields = map[string][]string{
	AuthOAuth:  {FieldClientSecret},
	AuthBearer: {FieldBearerToken},
	AuthSigV4:  {FieldSecretAccessKey, FieldSessionToken},
}

// readAuthentication takes the keys of the type only: those of another one are not known then.
func (d *Draft) readAuthentication(o *object) {
	a := &d.Info.Authentication
	a.Type = o.text("authenticationType")
	switch a.Type {
	case AuthOAuth:
		a.TokenURI, a.ClientID, a.Scopes = o.text("tokenUri"), o.text("clientId"), o.texts("scopes")
	case AuthSigV4:
		a.RoleARN, a.RoleSessionName, a.ExternalID = o.text("roleArn"), o.text("roleSessionName"), o.text("externalId")
		a.SessionPolicy, a.AccessKeyID = o.text("sessionPolicy"), o.text("accessKeyId")
		a.SigningRegion, a.SigningName = o.text("signingRegion"), o.text("signingName")
	case AuthBearer, AuthImplicit:
	default:
		o.fail(o.path("authenticationType"), "is one of OAUTH, BEARER, IMPLICIT and SIGV4")
	}
	for _, field := range secretFields[a.Type] {
		_, there := o.keys[field]
		text := o.text(field)
		switch {
		case text == "" && there && o.fault == nil:
			o.fail(o.path(field), "is empty; leave it out of an update to keep the secret that there is")
		case text != "":
			if d.Secrets == nil {
				d.Secrets = map[string]Given{}
			}
			d.Secrets[field] = o.given(field, text)
		}
	}
}

// given tells a reference from a secret.
func (o *object) given(field, text string) Given {
	if !strings.HasPrefix(text, "urn:realmgate-secret:") && !strings.HasPrefix(text, "urn:polaris-secret:") {
		return Given{Value: sdk.NewSecret([]byte(text))}
	}
	ref, err := sdk.ParseSecretRef(text)
	if err != nil {
		o.fail(o.path(field), err.Error())
	}
	return Given{Reference: ref}
}
