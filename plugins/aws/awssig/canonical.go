package awssig

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// EmptyPayload is the hash of no body, UnsignedPayload what stands for the hash of a body that is not signed.
const (
	EmptyPayload    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	UnsignedPayload = "UNSIGNED-PAYLOAD"
)

// Request is a message whose target was taken apart.
type Request struct {
	*sdk.HTTPMessage
	Path  string // as on the wire
	Query Query
}

// Read takes a message apart.
func Read(m *sdk.HTTPMessage) (Request, error) {
	if !strings.HasPrefix(m.RawTarget, "/") {
		return Request{}, errors.New("the target of the request is not a path")
	}
	r := Request{HTTPMessage: m}
	var raw string
	var err error
	r.Path, raw, _ = strings.Cut(m.RawTarget, "?")
	r.Query, err = ParseQuery(raw)
	return r, err
}

// MissingHeaderError names a header that is signed, but did not arrive.
type MissingHeaderError struct{ Name string }

// Error names the header.
func (e *MissingHeaderError) Error() string {
	return fmt.Sprintf("the header %s is signed, but did not arrive", e.Name)
}

// Canonical gives the canonical request. payload is the hash of the body in hexadecimal digits, or what stands for it.
// Repeats of a header are joined by commas. The error is a *MissingHeaderError.
func (r Request) Canonical(p Proof, payload string, rules Rules) (string, error) {
	var b strings.Builder
	query := r.Query
	if p.Presigned {
		query = query.Without(ParamSignature)
	}
	b.WriteString(r.Method + "\n" + canonicalPath(r.Path, rules) + "\n" + query.Encode() + "\n")
	for _, name := range p.Signed {
		values := r.Values(name)
		if name == "host" {
			values = []string{r.Host}
		}
		if len(values) == 0 {
			return "", &MissingHeaderError{name}
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(squeeze(v))
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n" + strings.Join(p.Signed, ";") + "\n" + payload)
	return b.String(), nil
}

// squeeze takes the spaces around a value away, and of several within it all but one.
func squeeze(v string) string {
	v = strings.Trim(v, " \t")
	for strings.Contains(v, "  ") {
		v = strings.ReplaceAll(v, "  ", " ")
	}
	return v
}

// Sign gives the signature that a secret makes of a canonical request at a time.
func (p Proof) Sign(secret []byte, at time.Time, canonical string) string {
	hash := sha256.Sum256([]byte(canonical))
	text := Algorithm + "\n" + at.UTC().Format(TimeForm) + "\n" + p.Scope.String() + "\n" + hex.EncodeToString(hash[:])
	key := append([]byte("AWS4"), secret...)
	for _, part := range []string{p.Scope.Day, p.Scope.Region, p.Scope.Service, terminator, text} {
		key = sum(key, part)
	}
	return hex.EncodeToString(key)
}

// Fits says whether the signature is the one that a secret makes. It takes the same time wherever they differ.
func (p Proof) Fits(secret []byte, at time.Time, canonical string) bool {
	return hmac.Equal([]byte(p.Sign(secret, at, canonical)), []byte(p.Signature))
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
