package awssig

import "strings"

// Rules say which path of a request a service has signed.
type Rules struct {
	EscapeOnce bool // the path as it is on the wire, as S3 has it; other services escape it once more
	Normalize  bool // dot segments and repeated slashes are resolved first; not with EscapeOnce
}

// EscapesOnce says whether a service, by its signing name, has the path signed as S3 does. New services of S3's family are
// called s3-something.
func EscapesOnce(service string) bool {
	return service == "s3" || service == "s3express" || strings.HasPrefix(service, "s3-")
}

func canonicalPath(raw string, rules Rules) string {
	if raw == "" {
		return "/"
	}
	if rules.EscapeOnce {
		return raw
	}
	if rules.Normalize {
		raw = NormalizePath(raw)
	}
	return escape(raw, "/")
}

// NormalizePath takes out dot segments (RFC 3986 section 5.2.4) and repeated slashes. A slash at the end stays, encoded dots
// and slashes are text.
func NormalizePath(path string) string {
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
