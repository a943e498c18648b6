package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
)

const (
	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
	unsignedPayload = "UNSIGNED-PAYLOAD"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

	hashHeader = "X-Amz-Content-Sha256"
)

// ours are the headers that do not go on: those of this one connection (RFC 9110 section 7.6.1), those that the proxy says itself, and
// those of a signature of the client's own.
var ours = []string{
	"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
	tokenHeader, "Authorization", "X-Amz-Date", "X-Amz-Security-Token", hashHeader,
}

// headersOf gives the headers of a request that go on, all of which are given to be signed.
func headersOf(r *http.Request) (http.Header, *fault) {
	dropped := slices.Clone(ours)
	for _, list := range r.Header.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			dropped = append(dropped, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	out := http.Header{}
	for name, values := range r.Header {
		if slices.Contains(dropped, name) {
			continue
		}
		for _, v := range values {
			if !utf8.ValidString(v) { // the daemon would be asked about another value
				return nil, &fault{http.StatusBadRequest, codeRequest, "the header " + name + " is not UTF-8", nil}
			}
		}
		out[name] = slices.Clone(values)
	}
	return out, nil
}

// targetPath gives what stands in the request line: path and query, byte by byte.
func targetPath(r *http.Request) (string, *fault) {
	t := r.RequestURI
	if !strings.HasPrefix(t, "/") || strings.Contains(t, "#") || !utf8.ValidString(t) {
		return "", &fault{http.StatusBadRequest, codeRequest, "the target of the request is not a path (in UTF-8, without a fragment)", nil}
	}
	return t, nil
}

// unsupported finds what cannot be forwarded.
func unsupported(r *http.Request) *fault {
	switch {
	case r.Method == http.MethodConnect:
		return &fault{http.StatusNotImplemented, codeUnsupported, "CONNECT is not offered: send the requests themselves", nil}
	case slices.ContainsFunc(r.Header.Values("Upgrade"), func(v string) bool { return strings.Contains(strings.ToLower(v), "websocket") }):
		return &fault{http.StatusNotImplemented, codeUnsupported, "web sockets are not forwarded", nil}
	case r.Header.Get("Expect") != "" && !strings.EqualFold(r.Header.Get("Expect"), "100-continue"):
		return &fault{http.StatusExpectationFailed, codeExpectation, "no other expectation than 100-continue is known", nil}
	}
	return nil
}

var hashPattern = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// payloadOf gives what is signed of the body: a hash, or a word in its place; empty: nothing at all. read says that the body has to
// be read first.
func payloadOf(r *http.Request, t target) (hash string, read bool, _ *fault) {
	declared := r.Header.Values(hashHeader)
	switch {
	case !t.signed:
		return "", false, nil
	case len(declared) > 1:
		return "", false, &fault{http.StatusBadRequest, codeRequest, hashHeader + " is there twice", nil}
	case r.ContentLength == 0:
		return emptyHash, false, nil
	case len(declared) == 0 || declared[0] == unsignedPayload:
	case hashPattern.MatchString(declared[0]):
		return strings.ToLower(declared[0]), false, nil // the remote system compares
	case declared[0] == unsignedTrailer && t.unsigned:
		return unsignedTrailer, false, nil
	case strings.HasPrefix(declared[0], "STREAMING-"):
		return "", false, &fault{http.StatusNotImplemented, codeUnsupported,
			"a body in chunks that the client signed, or that carry a checksum behind them, cannot be signed here: have the client send no signature, or the SHA-256 of the whole body", nil}
	default:
		return "", false, &fault{http.StatusBadRequest, codeRequest, hashHeader + " is no SHA-256 in hex", nil}
	}
	if t.unsigned {
		return unsignedPayload, false, nil
	}
	return "", true, nil
}

// queryOf gives the question to the daemon.
func queryOf(method string, t target, path string, h http.Header, hash string, length int64) admin.SignQuery {
	asked := h.Clone()
	if length > 0 {
		asked.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	if hash != "" { // some services, and verifiers of Realmgate's own, do not take a signature without
		asked.Set(hashHeader, hash)
	}
	return admin.SignQuery{Method: method, URI: t.scheme + "://" + t.host + path, Headers: asked, PayloadSHA256: hash}
}

// signedURL gives where a signed request goes. The path is the one that was asked about; a signer may write the query anew.
func signedURL(s connection.Signed, t target, asked string) (*url.URL, error) {
	rest, ok := strings.CutPrefix(s.URI, t.scheme+"://")
	host, target, found := strings.Cut(rest, "/")
	path, query, has := strings.Cut("/"+target, "?")
	askedPath, _, _ := strings.Cut(asked, "?")
	if !ok || !found || hostOf(t.scheme, host) != t.host || path != askedPath || strings.ContainsAny(query, "# ") {
		return nil, fmt.Errorf("the signature is one for another URL than was asked about")
	}
	u := &url.URL{Scheme: t.scheme, Host: t.host, RawQuery: query, ForceQuery: has}
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path // goes out as it is
		return u, nil
	}
	// In Opaque it would count as a host.
	plain, err := url.PathUnescape(path)
	if u.Path, u.RawPath = plain, path; err != nil || u.EscapedPath() != path {
		return nil, fmt.Errorf("a path that begins with two slashes has to be percent-encoded in full")
	}
	return u, nil
}
