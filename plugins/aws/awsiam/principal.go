package awsiam

import (
	"errors"
	"fmt"
	"strings"
)

// Resource types, as they stand in the claim resource_type.
const (
	typeRoot      = "root"
	typeUser      = "user"
	typeRole      = "assumed-role"
	typeFederated = "federated-user"
)

// principal is an ARN that was taken apart.
type principal struct {
	arn, canonical     string
	partition, account string
	resourceType       string
	session            string // of an assumed role
	userID, uniqueID   string // the latter without the session: it changes when a role is made anew under the same name
}

// newPrincipal takes apart what STS says. A session of a role becomes the role: arn:aws:sts::A:assumed-role/R/S stands for
// arn:aws:iam::A:role/R (the path of a role is not in what STS says). All of it keeps the account.
func newPrincipal(c caller, partition string) (principal, error) {
	part := strings.SplitN(c.arn, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[3] != "" || !isValue(c.arn, 2048) || strings.Contains(c.arn, " ") {
		return principal{}, errors.New("what STS says is no ARN of an identity")
	}
	p := principal{arn: c.arn, canonical: c.arn, partition: part[1], account: part[4], userID: c.userID}
	p.uniqueID, _, _ = strings.Cut(c.userID, ":")
	switch {
	case !isAccount(p.account) || p.account != c.account:
		return principal{}, errors.New("the account of the ARN is not the one that STS says")
	case partition != "" && p.partition != partition:
		return principal{}, fmt.Errorf("the ARN is of the partition %.20q, that of the endpoint is %s", p.partition, partition)
	case p.partition == "" || !isValue(c.userID, 256):
		return principal{}, errors.New("the ARN has no partition, or the user id is none")
	}
	resource := strings.Split(part[5], "/")
	for _, r := range resource {
		if r == "" {
			return principal{}, errors.New("the resource of the ARN has an empty part")
		}
	}
	switch p.resourceType = resource[0]; part[2] + ":" + p.resourceType {
	case "iam:" + typeRoot:
		if len(resource) == 1 {
			return p, nil
		}
	case "iam:" + typeUser:
		if len(resource) >= 2 {
			return p, nil
		}
	case "sts:" + typeFederated:
		if len(resource) == 2 {
			return p, nil
		}
	case "sts:" + typeRole:
		if len(resource) == 3 {
			p.session = resource[2]
			p.canonical = "arn:" + p.partition + ":iam::" + p.account + ":role/" + resource[1]
			return p, nil
		}
	}
	return principal{}, errors.New("the ARN is not that of a user, a session of a role, a federated user or an account's root")
}

// claims are what mappers read.
func (p principal) claims(keyID string) map[string]any {
	m := map[string]any{
		"account": p.account, "arn": p.arn, "canonical_arn": p.canonical, "partition": p.partition, "resource_type": p.resourceType,
		"user_id": p.userID, "unique_id": p.uniqueID, "access_key_id": keyID,
	}
	if p.session != "" {
		m["session_name"] = p.session
	}
	return m
}
