package awssig

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
)

// Algorithm is the one that is read here; it is also the name of the authentication scheme.
const Algorithm = "AWS4-HMAC-SHA256"

// TimeForm is the form of X-Amz-Date (ISO 8601, basic), dayForm that of a scope's day.
const (
	TimeForm = "20060102T150405Z"
	dayForm  = "20060102"

	terminator = "aws4_request"
	maxKeyID   = 128
	maxSigned  = 64 // signed headers
)

// Scope is what a signature is good for.
type Scope struct{ Day, Region, Service string }

// String gives the scope as it is signed.
func (s Scope) String() string { return s.Day + "/" + s.Region + "/" + s.Service + "/" + terminator }

// FitsDay says whether the scope is of the day of a time.
func (s Scope) FitsDay(t time.Time) bool { return s.Day == t.UTC().Format(dayForm) }

// Proof is what a request says about its signature.
type Proof struct {
	KeyID     string
	Scope     Scope
	Signed    []string // names of signed headers: lower case, sorted, each once, host among them
	Signature string   // 64 hexadecimal digits in lower case
	Presigned bool     // it came in the query
}

// Signs says whether a header (lower case) is signed.
func (p Proof) Signs(header string) bool {
	_, ok := slices.BinarySearch(p.Signed, header)
	return ok
}

// ParseAuthorization reads what follows the scheme in an Authorization header: Credential, SignedHeaders and Signature,
// each once and nothing else. An error never repeats the text.
func ParseAuthorization(params string) (Proof, error) {
	got := map[string]string{}
	for part := range strings.SplitSeq(params, ",") {
		name, value, ok := strings.Cut(strings.Trim(part, " "), "=")
		if _, twice := got[name]; twice || !ok {
			return Proof{}, errors.New("the authorization is not a list of Credential, SignedHeaders and Signature, each once")
		}
		got[name] = value
	}
	if _, ok := got["Credential"]; !ok || len(got) != 3 {
		return Proof{}, errors.New("the authorization has to have Credential, SignedHeaders and Signature, and nothing else")
	}
	return newProof(got["Credential"], got["SignedHeaders"], got["Signature"])
}

// Names of the parameters of a presigned URL.
const (
	ParamAlgorithm  = "X-Amz-Algorithm"
	ParamCredential = "X-Amz-Credential"
	ParamDate       = "X-Amz-Date"
	ParamExpires    = "X-Amz-Expires"
	ParamSigned     = "X-Amz-SignedHeaders"
	ParamSignature  = "X-Amz-Signature"
	ParamToken      = "X-Amz-Security-Token"
)

// ParsePresigned reads what a presigned URL says about its signature: each parameter once. Date and expiry are
// [ParseTime]'s and [ParseExpires]'.
func ParsePresigned(q Query) (Proof, error) {
	var value [4]string
	for i, name := range []string{ParamAlgorithm, ParamCredential, ParamSigned, ParamSignature} {
		var err error
		if value[i], err = q.One(name); err != nil {
			return Proof{}, err
		}
	}
	if value[0] != Algorithm {
		return Proof{}, fmt.Errorf("%s has to be %s", ParamAlgorithm, Algorithm)
	}
	p, err := newProof(value[1], value[2], value[3])
	p.Presigned = true
	return p, err
}

func newProof(credential, signed, signature string) (p Proof, err error) {
	part := strings.Split(credential, "/")
	if len(part) != 5 || part[4] != terminator {
		return Proof{}, fmt.Errorf("the credential is not <key id>/<day>/<region>/<service>/%s", terminator)
	}
	p.KeyID, p.Scope = part[0], Scope{part[1], part[2], part[3]}
	if !ascii.Consists(p.KeyID, maxKeyID, "-_.") {
		return Proof{}, errors.New("the key id consists of letters, digits, -, _ and dots")
	}
	if d, err := time.Parse(dayForm, p.Scope.Day); err != nil || d.Format(dayForm) != p.Scope.Day {
		return Proof{}, errors.New("the day of the credential is not YYYYMMDD")
	}
	if !ascii.Consists(p.Scope.Region, 64, "-_") || !ascii.Consists(p.Scope.Service, 64, "-_.") {
		return Proof{}, errors.New("region and service of the credential consist of letters, digits and -_")
	}
	if p.Signed, err = parseSigned(signed); err != nil {
		return Proof{}, err
	}
	if !ascii.Hash(signature) {
		return Proof{}, errors.New("the signature is not 64 hexadecimal digits in lower case")
	}
	p.Signature = signature
	return p, nil
}

func parseSigned(text string) ([]string, error) {
	names := strings.Split(text, ";")
	if len(names) > maxSigned {
		return nil, fmt.Errorf("at most %d headers can be signed", maxSigned)
	}
	for i, n := range names {
		if !ascii.HeaderName(n, 256) || n != strings.ToLower(n) || i > 0 && names[i-1] >= n {
			return nil, errors.New("the signed headers are not names in lower case, sorted, each once")
		}
	}
	if !slices.Contains(names, "host") {
		return nil, errors.New("the header host has to be signed")
	}
	return names, nil
}

// ParseTime reads an X-Amz-Date.
func ParseTime(text string) (time.Time, error) {
	t, err := time.Parse(TimeForm, text)
	if err != nil || t.Format(TimeForm) != text {
		return time.Time{}, errors.New("X-Amz-Date is not YYYYMMDDTHHMMSSZ")
	}
	return t, nil
}

// ParseExpires reads an X-Amz-Expires: seconds, a week at most.
func ParseExpires(text string) (time.Duration, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != text || n > 7*86400 {
		return 0, errors.New("X-Amz-Expires is not a number of seconds, a week at most")
	}
	return time.Duration(n) * time.Second, nil
}
