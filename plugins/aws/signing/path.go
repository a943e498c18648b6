package signing

import (
	"net/url"
	"strings"

	"github.com/aws/smithy-go/encoding/httpbinding"
)

// canonicalPath gives the path as the SDK's signer is to have it: it encodes it once more where the rules say so.
func canonicalPath(raw string, r Rules) (string, error) {
	if r.NormalizePath {
		raw = normalize(raw)
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

// normalize takes out dot segments (RFC 3986 section 5.2.4) and repeated slashes. A slash at the end stays, encoded dots and
// slashes are text.
func normalize(path string) string {
	var kept []string
	folder := true // whether the path ends like one
	for segment := range strings.SplitSeq(path, "/") {
		folder = segment == "" || segment == "." || segment == ".."
		switch {
		case segment == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		case !folder:
			kept = append(kept, segment)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if folder && len(kept) > 0 {
		out += "/"
	}
	return out
}
