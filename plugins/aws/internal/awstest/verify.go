package awstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Keys are access keys by id.
type Keys map[string]string

// Verifier checks signatures as a service does (the SigV4 chapter of the IAM user guide), of a request as it arrived.
type Verifier struct {
	Keys   Keys
	Once   bool // the path is signed as it is decoded and encoded once, as S3 does; otherwise as it arrived, encoded once more
	AsIs   bool // the path is not normalised
	Region string
	// Service is the signing name.
	Service string
}

// Verify gives the access key's id, and an error if the signature is not good. body is what arrived; nil to believe the hash
// that the request gives for it.
func (v Verifier) Verify(r *http.Request, body []byte) (string, error) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	params := pairs(query)
	get := func(name string) string { return r.Header.Get(name) }
	var credential, signedHeaders, signature, date string
	presigned := false
	if auth := get("Authorization"); auth != "" {
		rest, ok := strings.CutPrefix(auth, "AWS4-HMAC-SHA256 ")
		if !ok {
			return "", errors.New("another algorithm")
		}
		for part := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				signedHeaders = value
			case "Signature":
				signature = value
			}
		}
		date = get("X-Amz-Date")
	} else {
		presigned = true
		kept := params[:0:0]
		for _, p := range params {
			switch p[0] {
			case "X-Amz-Credential":
				credential = unescape(p[1])
			case "X-Amz-SignedHeaders":
				signedHeaders = unescape(p[1])
			case "X-Amz-Date":
				date = p[1]
			case "X-Amz-Signature":
				signature = p[1]
				continue
			}
			kept = append(kept, p)
		}
		params = kept
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || len(date) < 8 || scope[1] != date[:8] || scope[4] != "aws4_request" {
		return "", fmt.Errorf("the credential %q does not fit the date %q", credential, date)
	}
	if scope[2] != v.Region || scope[3] != v.Service {
		return "", fmt.Errorf("the credential is for %s in %s", scope[3], scope[2])
	}
	secret, ok := v.Keys[scope[0]]
	if !ok {
		return "", errors.New("an unknown access key")
	}
	hash := get("X-Amz-Content-Sha256")
	switch {
	case hash == "UNSIGNED-PAYLOAD":
	case hash == "" && presigned && v.Once:
		hash = "UNSIGNED-PAYLOAD"
	case body != nil:
		sum := hexSum(string(body))
		if hash != "" && hash != sum {
			return "", errors.New("the body is not the one of the hash")
		}
		hash = sum
	}
	canonical := r.Method + "\n" + v.path(path) + "\n" + canonicalQuery(params) + "\n" + canonicalHeaders(r, signedHeaders) + "\n" + signedHeaders + "\n" + hash
	toSign := "AWS4-HMAC-SHA256\n" + date + "\n" + strings.Join(scope[1:], "/") + "\n" + hexSum(canonical)
	key := []byte("AWS4" + secret)
	for _, part := range scope[1:] {
		key = sum(key, part)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(sum(key, toSign))), []byte(signature)) {
		return "", fmt.Errorf("the signature is not that of\n%s", canonical)
	}
	return scope[0], nil
}

func (v Verifier) path(raw string) string {
	if !v.AsIs && !v.Once {
		var out []string
		for _, s := range strings.Split(raw, "/") {
			switch {
			case s == "" || s == ".":
			case s == "..":
				out = out[:max(len(out)-1, 0)]
			default:
				out = append(out, s)
			}
		}
		end := ""
		if len(out) > 0 && (strings.HasSuffix(raw, "/") || strings.HasSuffix(raw, "/.") || strings.HasSuffix(raw, "/..")) {
			end = "/"
		}
		raw = "/" + strings.Join(out, "/") + end
	}
	if v.Once {
		raw = unescape(raw)
	}
	return escape(raw, "/")
}

func pairs(query string) [][2]string {
	var out [][2]string
	for p := range strings.SplitSeq(query, "&") {
		if p != "" {
			name, value, _ := strings.Cut(p, "=")
			out = append(out, [2]string{name, value})
		}
	}
	return out
}

func canonicalQuery(params [][2]string) string {
	var lines []string
	for _, p := range params {
		lines = append(lines, escape(unescape(p[0]), "")+"="+escape(unescape(p[1]), ""))
	}
	slices.SortFunc(lines, func(a, b string) int {
		an, av, _ := strings.Cut(a, "=")
		bn, bv, _ := strings.Cut(b, "=")
		if c := strings.Compare(an, bn); c != 0 {
			return c
		}
		return strings.Compare(av, bv)
	})
	return strings.Join(lines, "&")
}

func canonicalHeaders(r *http.Request, signed string) string {
	out := ""
	for name := range strings.SplitSeq(signed, ";") {
		values := r.Header.Values(name)
		if name == "host" {
			values = []string{r.Host}
		}
		if name == "content-length" && len(values) == 0 {
			values = []string{fmt.Sprint(r.ContentLength)}
		}
		var clean []string
		for _, v := range values {
			clean = append(clean, strings.Join(strings.Fields(v), " "))
		}
		out += name + ":" + strings.Join(clean, ",") + "\n"
	}
	return out
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

func escape(s, also string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(unreserved+also, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.Write(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func sum(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func hexSum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}
