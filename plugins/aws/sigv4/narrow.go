package sigv4

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

const maxNarrow = 20

var (
	bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

	objectActions = []string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:GetObjectVersion", "s3:ListMultipartUploadParts", "s3:PutObject"}
	bucketActions = []string{"s3:ListBucket"}
)

type statement struct {
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// narrowed gives a session policy (IAM JSON) that allows objects below S3 URIs and listing them, and nothing else. A session
// has one inline policy and what two allow together cannot be written as one, so a connection with a policy of its own is
// not narrowed any further.
func narrowed(partition, policy string, uris []string) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", sdk.Forbid(ReasonNarrowing, format, args...)
	}
	switch {
	case len(uris) == 0:
		return policy, nil
	case policy != "":
		return refuse("narrowTo: the connection has a sessionPolicy, which cannot be combined with it")
	case len(uris) > maxNarrow:
		return refuse("narrowTo: at most %d URIs are possible", maxNarrow)
	}
	var statements []statement
	for _, text := range uris {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "s3" && u.Scheme != "s3a" && u.Scheme != "s3n":
			return refuse("narrowTo: %q is not of the form s3://bucket/path", clip(text))
		case !bucketPattern.MatchString(u.Host):
			return refuse("narrowTo: %q names no bucket", clip(text))
		case strings.ContainsAny(u.Path, `*?$\"`) || strings.ContainsFunc(u.Path, func(c rune) bool { return c < ' ' || c == 0x7f }):
			return refuse("narrowTo: a path has no *, ?, $, quotes, backslashes or control characters, which mean something in a policy")
		}
		bucket, prefix := "arn:"+partition+":s3:::"+u.Host, strings.TrimPrefix(u.Path, "/")
		if prefix != "" && !strings.HasSuffix(prefix, "/") {
			prefix += "/" // a folder: what is beside it begins alike
		}
		list := statement{Effect: "Allow", Action: bucketActions, Resource: bucket}
		if prefix != "" {
			list.Condition = map[string]map[string][]string{"StringLike": {"s3:prefix": {prefix + "*"}}}
		}
		statements = append(statements, statement{Effect: "Allow", Action: objectActions, Resource: bucket + "/" + prefix + "*"}, list)
	}
	raw, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		return "", err
	}
	if len(raw) > maxPolicy {
		return refuse("narrowTo: the policy for so many URIs would be longer than %d characters", maxPolicy)
	}
	return string(raw), nil
}

func clip(s string) string { return s[:min(len(s), 256)] }
