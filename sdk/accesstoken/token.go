package accesstoken

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// MaxLength bounds a token in bytes. No longer one is issued, so a longer one is not the realm's.
	MaxLength = 16 << 10
	// Type is the media type of an access token (RFC 9068 section 2.1).
	Type = "at+jwt"
)

// encoding takes and gives one spelling of each value only, so that a token has no other one that is valid too.
var encoding = base64.RawURLEncoding.Strict()

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// Sign makes the token of claims. sign gives the signature (RFC 7518 section 3) over the bytes that it is given.
func Sign(c Claims, algorithm, keyID string, sign func(signed string) ([]byte, error)) (sdk.Token, error) {
	h, err := json.Marshal(header{Algorithm: algorithm, KeyID: keyID, Type: Type})
	if err != nil {
		return sdk.Token{}, err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return sdk.Token{}, err
	}
	if encoding.EncodedLen(len(payload)) > MaxLength {
		return sdk.Token{}, errTooLong
	}
	signed := encoding.EncodeToString(h) + "." + encoding.EncodeToString(payload)
	signature, err := sign(signed)
	if err != nil {
		return sdk.Token{}, err
	}
	value := signed + "." + encoding.EncodeToString(signature)
	if len(value) > MaxLength {
		return sdk.Token{}, errTooLong
	}
	return sdk.Token{Value: value, ID: c.ID, Type: "Bearer", Expires: time.Unix(c.Expires, 0)}, nil
}

var errTooLong = fmt.Errorf("the token would be longer than %d bytes", MaxLength)

// Presented is a token of the realm as it was presented. Nothing in it is proven before its signature was checked.
type Presented struct {
	Algorithm string
	KeyID     string // empty if it has none
	Signed    string // what the signature is over
	Signature []byte
	Claims    Claims
}

// Parse recognises a token of the realm's own. What is not a bearer token, not a JWT, or a JWT of another issuer is
// sdk.NotMine. Everything else is final: algorithm_not_allowed, type_not_allowed, token_malformed.
func (r Realm) Parse(q sdk.Request, allowed func(algorithm string) bool) (Presented, error) {
	if q.Scheme != "bearer" || len(q.Token) > MaxLength || strings.Count(q.Token, ".") != 2 || strings.ContainsAny(q.Token, "\r\n") {
		return Presented{}, sdk.NotMine() // base64 passes over line ends
	}
	parts := strings.Split(q.Token, ".")
	h, headerErr := decodeHeader(parts[0])
	if headerErr != nil {
		return Presented{}, sdk.NotMine() // not a JWT
	}
	payload, err := encoding.DecodeString(parts[1])
	if err != nil {
		return Presented{}, sdk.NotMine()
	}
	c, claimsErr := decodeClaims(payload)
	if c.Issuer != r.issuer {
		return Presented{}, sdk.NotMine()
	}
	if claimsErr != nil {
		return Presented{}, malformed("the token is not a well-formed JWT with the claims of an access token")
	}
	p := Presented{Signed: parts[0] + "." + parts[1], Claims: c}
	p.Algorithm, _ = h["alg"].(string)
	p.KeyID, _ = h["kid"].(string)
	typ, _ := h["typ"].(string)
	_, critical := h["crit"]
	switch {
	case !allowed(p.Algorithm):
		return Presented{}, sdk.Deny("algorithm_not_allowed", "the token is not signed with an algorithm of this realm")
	case !strings.EqualFold(typ, Type):
		return Presented{}, sdk.Deny("type_not_allowed", "the token is not of the type %s", Type)
	case critical:
		return Presented{}, malformed("the token has critical extensions")
	}
	if p.Signature, err = encoding.DecodeString(parts[2]); err != nil {
		return Presented{}, malformed("the signature of the token is not well-formed")
	}
	return p, nil
}

// decodeHeader keeps the keys as they are: one in another case is another key.
func decodeHeader(text string) (map[string]any, error) {
	raw, err := encoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	var h map[string]any
	err = json.Unmarshal(raw, &h)
	return h, err
}

func malformed(text string) error { return sdk.Deny("token_malformed", "%s", text) }
