package signing

import (
	"net/http"
	"strings"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
)

const (
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing

	// UnsignedPayload stands for the hash of a body that is not signed; the second one for such a body in chunks with a
	// checksum behind them.
	UnsignedPayload        = "UNSIGNED-PAYLOAD"
	unsignedPayloadTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// payload gives what is signed of the body, and whether the client or the service wants it in a header.
func payload(in *Input, h http.Header, length int64, presign bool) (hash string, header bool, err error) {
	declared := h.Values(contentHashHeader)
	hash = in.Message.BodySHA256
	switch {
	case len(declared) > 1:
		return "", false, invalid("headers", "x-amz-content-sha256 stands there twice")
	case len(declared) == 1 && hash != "" && !strings.EqualFold(hash, declared[0]):
		return "", false, invalid("headers", "x-amz-content-sha256 is not the hash that is given for the body")
	case len(declared) == 1:
		hash = declared[0]
	}
	header = len(declared) == 1 || in.Rules.ContentHash
	switch {
	case hash == "" && presign && in.Rules.UnsignedPayload:
		return UnsignedPayload, false, nil // whoever uses the URL has a body that nobody knows yet
	case hash == "" && length > 0:
		return "", false, invalid("payloadSha256", "by its content-length the request has a body: its SHA-256 is needed, in hex%s", in.Rules.instead())
	case hash == "":
		return emptyHash, header, nil
	case hash == UnsignedPayload || hash == unsignedPayloadTrailer:
		if !in.Rules.UnsignedPayload {
			return "", false, invalid("payloadSha256", "%s is not possible with the service %s", hash, in.Service)
		}
		return hash, header, nil
	case strings.HasPrefix(hash, "STREAMING-"):
		return "", false, invalid("payloadSha256", "chunks that are signed one by one are not supported: use the hash of the whole body, or %s", UnsignedPayload)
	}
	hash = strings.ToLower(hash)
	if !ascii.Hash(hash) {
		return "", false, invalid("payloadSha256", "it is no SHA-256 in hex")
	}
	return hash, header, nil
}

// instead says what a service takes in place of a hash.
func (r Rules) instead() string {
	if r.UnsignedPayload {
		return ", or " + UnsignedPayload
	}
	return ""
}
