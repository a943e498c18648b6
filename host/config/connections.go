package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// identityTypes are the types of service identities by the labels of their blocks.
var identityTypes = map[string]string{"aws_iam": "AWS_IAM"}

// vendorTypes are the types of the credential vendors that name none, by the authentication that they are for.
var vendorTypes = map[string]string{"OAUTH": "oauth", "BEARER": "bearer", "IMPLICIT": "implicit", "SIGV4": "sigv4"}

// iamARN is an ARN of an IAM user or role, in any partition.
var iamARN = regexp.MustCompile(`^arn:aws(-[a-z0-9]+)*:iam::[0-9]{12}:(user|role)/([!-~]+/)?[A-Za-z0-9+=,.@_-]{1,64}$`)

func (b *builder) identities(n node) []ServiceIdentity {
	var out []ServiceIdentity
	for _, own := range n.labelled("service_identity") {
		typ, ok := identityTypes[own.label]
		if !ok {
			own.faultNamed("", "no such type of service identity", own.label, slices.Collect(maps.Keys(identityTypes)))
			continue
		}
		id := ServiceIdentity{Type: typ, Credentials: own.text("credentials"), Pos: own.at.position(), at: own.at}
		if !b.broken || own.has("iam_arn") {
			id.ARN = own.need("iam_arn")
		}
		if id.ARN != "" && !iamARN.MatchString(id.ARN) {
			own.fault("iam_arn", "iam_arn is not the ARN of an IAM user or role", "Write it as arn:aws:iam::123456789012:user/realmgate or arn:aws:iam::123456789012:role/realmgate.")
		}
		if own.values["credentials"] == "" {
			own.fault("credentials", "credentials must not be empty", "Leave it out to use the default credential chain of the environment of the vendor's plugin.")
		}
		out = append(out, id)
	}
	return out
}

func (b *builder) vendors() []Vendor {
	s, written := b.schema.blocks["credential_vendor"], map[string]Vendor{}
	for _, n := range b.root.labelled("credential_vendor") {
		if _, ok := vendorTypes[n.label]; !ok {
			n.faultNamed("", "no such type of authentication", n.label, slices.Collect(maps.Keys(vendorTypes)))
			continue
		}
		v := Vendor{Authentication: n.label, Part: b.part(n, s), Written: true, Pos: n.at.position()}
		if v.Type == "" {
			v.Type = vendorTypes[n.label]
		}
		written[n.label] = v
	}
	out := make([]Vendor, 0, len(vendorTypes))
	for _, name := range slices.Sorted(maps.Keys(vendorTypes)) {
		v, ok := written[name]
		if !ok {
			v = Vendor{Authentication: name, Part: Part{Type: vendorTypes[name], Settings: []byte("{}"), at: &trace{}}}
		}
		out = append(out, v)
	}
	return out
}

// connections reads a realm's block with what it inherits.
func (b *builder) connections(realm node) Connections {
	n := inherit(b.schema.blocks["connections"], realm.block("connections"), b.root.block("connections"))
	c := Connections{
		SecretStore: n.text("secret_store"), SecretPrefix: n.textOr("secret_prefix", realm.label+"/"),
		ManageRoles: b.roles(n, "manage_roles"), UseRoles: b.roles(n, "use_roles"), ReferenceRoles: b.roles(n, "reference_roles"), at: n.at,
	}
	if err := checkOwnPrefix(c.SecretPrefix); err != nil {
		n.fault("secret_prefix", "secret_prefix cannot be used", sentence(err))
		c.SecretPrefix = realm.label + "/"
	}
	if _, ok := n.values["deny_addresses"]; ok {
		c.DenyAddresses = []netip.Prefix{}
	}
	for i, text := range n.texts("deny_addresses") {
		prefix, err := parsePrefix(text)
		if err != nil {
			n.faultItem("deny_addresses", i, "this is not a network", "Write it as 10.0.0.0/8 or fd00::/8; a single address is taken too.")
			continue
		}
		c.DenyAddresses = append(c.DenyAddresses, prefix)
	}
	return c
}

// roles reads names of active roles, which are without the prefix that they have in a request.
func (b *builder) roles(n node, key string) []string {
	all := n.texts(key)
	for i, role := range all {
		switch {
		case strings.TrimSpace(role) == "":
			n.faultItem(key, i, "a role must not be empty", "")
		case strings.HasPrefix(role, b.prefix):
			n.faultItem(key, i, "an active role has no prefix", fmt.Sprintf("Leave out %s.", b.prefix))
		}
	}
	return all
}

var ownPrefix = regexp.MustCompile(`^[A-Za-z0-9._/:@+=~-]+/$`)

// checkOwnPrefix checks the prefix below which a realm's secrets are written: the start of the path of a secret reference.
func checkOwnPrefix(prefix string) error {
	switch {
	case !strings.HasSuffix(prefix, "/"):
		return errors.New("it must end with /: secrets are written below it")
	case strings.HasPrefix(prefix, "/"):
		return errors.New("it must not start with /")
	case !ownPrefix.MatchString(prefix) || len(prefix) > maxOwnPrefix:
		return fmt.Errorf("write at most %d letters, digits and -_./:@+=~", maxOwnPrefix)
	}
	return checkPrefix(prefix)
}

const maxOwnPrefix = 1024 // bytes
