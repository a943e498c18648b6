package signing

import (
	"net/url"

	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
)

// canonicalPath gives the path as the SDK's signer is to have it: it encodes it once more where the rules say so.
func canonicalPath(raw string, r Rules) (string, error) {
	if r.NormalizePath {
		raw = awssig.NormalizePath(raw)
	}
	if r.EncodeTwice {
		return raw, nil
	}
	// The service decodes the path and encodes it by its own rules. Clients differ in what they encode (":", "+", "@").
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return "", invalid("uri", "the path has a %% in it that begins no escape")
	}
	return httpbinding.EscapePath(decoded, false), nil
}
