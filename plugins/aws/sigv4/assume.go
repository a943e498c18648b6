package sigv4

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/plugins/aws/identity"
	"github.com/realmgate/realmgate/sdk"
)

// session is a role that was taken on.
type session struct {
	keys    aws.Credentials
	auditID string
}

// skew is by how much the clocks of STS and ours may differ.
const skew = 5 * time.Minute

// asker asks one STS.
type asker struct {
	http     *http.Client
	endpoint client.Endpoint
	now      func() time.Time
}

// assume takes a role on. A denial says that STS does not let it be, or that the connection's parameters do not suit it.
func (a *asker) assume(ctx context.Context, w *wish) (session, error) {
	in := &sts.AssumeRoleInput{
		RoleArn: aws.String(w.roleARN), RoleSessionName: aws.String(w.name), DurationSeconds: seconds(w.duration),
		ExternalId: optional(w.externalID), Policy: optional(w.policy), SourceIdentity: optional(w.source),
	}
	for _, t := range w.tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(t[0]), Value: aws.String(t[1])})
	}
	began := a.now()
	out, err := sts.New(sts.Options{
		Region: w.region, HTTPClient: a.http, Retryer: client.Retryer(), BaseEndpoint: a.endpoint.Base(),
		EndpointOptions: sts.EndpointResolverOptions{UseFIPSEndpoint: a.endpoint.State()},
		Credentials:     credentials.StaticCredentialsProvider{Value: w.keys},
	}).AssumeRole(ctx, in)
	if err != nil {
		return session{}, w.explain(client.FailureOf("STS", err), a.endpoint.URL != "")
	}
	return a.check(w, out, began)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

// explain says who has to change what. Who may not take a role on is not let in; all else is not the caller's doing.
func (w *wish) explain(f *client.Failure, own bool) error {
	switch {
	case f.Denied():
		text := "roleArn: STS does not let %s take on %s (%s): the role's trust policy must allow it, with the connection's externalId, and so must the identity's own policies"
		if own {
			text += "; servers other than AWS also say so of keys that they do not accept"
		}
		return sdk.Forbid(ReasonDenied, text, w.identity, w.roleARN, f.Code)
	case f.Code == "MalformedPolicyDocument" || f.Code == "MalformedPolicyDocumentException" || f.Code == "PackedPolicyTooLarge" || f.Code == "PackedPolicyTooLargeException":
		return invalid("sessionPolicy", "STS does not take it (%s)", f.Code)
	case f.Code == "ValidationError":
		return invalid("roleArn", "STS does not take the parameters for %s (%s): does the role exist, and does it allow sessions of %v?", w.roleARN, f.Code, w.duration)
	case f.KeysRefused():
		return fmt.Errorf("the keys of the service identity %s are not accepted: %w", w.identity, f)
	}
	return f
}

// check believes no answer that is not for the role that was asked for.
func (a *asker) check(w *wish, out *sts.AssumeRoleOutput, began time.Time) (session, error) {
	c := out.Credentials
	if c == nil || c.Expiration == nil {
		return session{}, errors.New("STS answers no credentials, or none with an end")
	}
	keys, err := identity.New(aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken))
	switch {
	case err != nil:
		return session{}, fmt.Errorf("STS answers credentials of which none can be used: %w", err)
	case keys.SessionToken == "":
		return session{}, errors.New("STS answers credentials without a session token")
	case !c.Expiration.After(a.now()):
		return session{}, fmt.Errorf("STS answers credentials that expired at %s", c.Expiration.UTC().Format(time.RFC3339))
	}
	keys.CanExpire, keys.Expires = true, *c.Expiration
	if latest := began.Add(w.duration); keys.Expires.After(latest.Add(skew)) {
		keys.Expires = latest // it was not asked for so long
	}
	id, err := w.checkUser(out.AssumedRoleUser, a.endpoint.URL != "")
	if err != nil {
		return session{}, err
	}
	keys.AccountID = w.role.account
	return session{keys: keys, auditID: id + keys.AccessKeyID}, nil
}

var (
	assumedPattern = regexp.MustCompile(`^arn:([a-z0-9-]{1,32}):sts::([0-9]{12}):assumed-role/([\w+=,.@-]{1,64})/([\w+=,.@-]{2,64})$`)
	idPattern      = regexp.MustCompile(`^[A-Z0-9]{8,128}:[\w+=,.@-]{2,64}$`)
)

// checkUser gives what CloudTrail calls the session, with a slash. Servers other than AWS may say nothing of who they took
// the caller for; what they say must be right all the same.
func (w *wish) checkUser(u *types.AssumedRoleUser, own bool) (string, error) {
	arn, id := "", ""
	if u != nil {
		arn, id = aws.ToString(u.Arn), aws.ToString(u.AssumedRoleId)
	}
	if own && arn == "" && id == "" {
		return "", nil
	}
	m := assumedPattern.FindStringSubmatch(arn)
	switch {
	case m == nil || !idPattern.MatchString(id):
		return "", errors.New("STS does not say whose session it answers")
	case m[1] != w.role.partition || m[2] != w.role.account:
		return "", fmt.Errorf("STS answers a session of the account %s (%s), not of %s", m[2], m[1], w.roleARN)
	case m[3] != w.role.name || m[4] != w.name:
		return "", fmt.Errorf("STS answers a session of another role or name than %s and %s", w.roleARN, w.name)
	}
	return id + "/", nil
}
