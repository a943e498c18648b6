package connection

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/realmgate/realmgate/sdk/egress"
)

// Bounds of a connection, in bytes.
const (
	maxRemoteName    = 1024
	maxProperties    = 64
	maxPropertyKey   = 256
	maxPropertyValue = 4096
	maxSignHosts     = 64
)

// namePattern is what a name consists of: it stands in paths of URLs and of secrets.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// checking is the check of one draft: it says where in the body a fault is.
type checking struct {
	*Draft
	deny egress.List
}

// check checks all of a draft but its secret references, and fills in what has a default.
func (d *Draft) check(deny egress.List) *Fault {
	c := checking{d, deny}
	for _, step := range []func() *Fault{c.name, c.info, c.authentication, c.secrets, c.properties, c.signHosts} {
		if f := step(); f != nil {
			return f
		}
	}
	return nil
}

func (c checking) field(name string) string { return c.at + name }
func (c checking) infoField(name string) string {
	return c.at + "connectionConfigInfo." + name
}
func (c checking) authField(name string) string {
	return c.at + "connectionConfigInfo.authenticationParameters." + name
}

func (c checking) name() *Fault {
	if !namePattern.MatchString(c.Name) {
		return invalid(c.field("name"), "consists of 1 to 128 letters, digits and ._-, and begins with a letter, a digit or _")
	}
	return nil
}

func (c checking) info() *Fault {
	i := &c.Info
	switch i.Type {
	case TypeIcebergREST, TypeHadoop, TypeHive, TypeGenericHTTP:
	default:
		return invalid(c.infoField("connectionType"), "is one of ICEBERG_REST, HADOOP, HIVE and GENERIC_HTTP")
	}
	for _, x := range []struct{ field, value, of string }{
		{"remoteCatalogName", i.RemoteCatalogName, TypeIcebergREST}, {"warehouse", i.Warehouse, TypeHadoop + " " + TypeHive},
	} {
		switch {
		case x.value == "":
		case !slices.Contains(strings.Fields(x.of), i.Type):
			return invalid(c.infoField(x.field), "means nothing to a connection of the type "+i.Type)
		case len(x.value) > maxRemoteName || strings.ContainsFunc(x.value, unicode.IsControl):
			return invalid(c.infoField(x.field), fmt.Sprintf("is longer than %d bytes, or has a control character", maxRemoteName))
		}
	}
	return checkURI(c.infoField("uri"), i.URI, i.Type, c.deny)
}

func (c checking) properties() *Fault {
	field := c.field("properties")
	if len(c.Properties) > maxProperties {
		return invalid(field, fmt.Sprintf("are more than %d", maxProperties))
	}
	for _, k := range slices.Sorted(maps.Keys(c.Properties)) {
		at, v := field+"."+shown(k), c.Properties[k]
		switch {
		case k == "" || len(k) > maxPropertyKey || strings.ContainsFunc(k, unicode.IsControl):
			return invalid(at, fmt.Sprintf("a key has 1 to %d bytes and no control character", maxPropertyKey))
		case len(v) > maxPropertyValue || strings.ContainsRune(v, 0):
			return invalid(at, fmt.Sprintf("a value has at most %d bytes and no NUL", maxPropertyValue))
		case namesSecret(k) || holdsSecret(v):
			return invalid(at, "looks like a secret, and properties are stored and shown as they are; secrets go into authenticationParameters (clientSecret, bearerToken, secretAccessKey)")
		case k == propertyRemoteName && v != c.Info.RemoteCatalogName, k == propertyWarehouse && c.Info.Warehouse != "" && v != c.Info.Warehouse:
			return invalid(at, "has another value than the field of connectionConfigInfo of that name")
		}
	}
	return nil
}
