package oidc

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/sdk"
)

const (
	maxToken = 16 << 10
	maxKeyID = 256
)

// encoding takes one spelling of each value only, so that a token has no other one that is valid too.
var encoding = base64.RawURLEncoding.Strict()

// presented is a token as it was presented. Nothing in it is proven before its signature was checked.
type presented struct {
	*header
	claims    *sdk.Claims
	signed    string // what the signature is over
	signature []byte
}

// header is the header of tokens that are accepted so far. Those of one issuer have one and the same, by and large.
type header struct {
	text   string // as it stands in the token, and not a part of it: the token goes
	method jwt.SigningMethod
	keyID  string // empty if it has none
}

// parse takes a JWT apart and checks its header.
func (p *Provider) parse(text string) (presented, error) {
	if text == "" || len(text) > maxToken {
		return presented{}, sdk.Deny("token_malformed", "the token is empty or longer than %d bytes", maxToken)
	}
	if strings.ContainsAny(text, "\r\n") { // base64 passes over line ends
		return presented{}, errMalformed()
	}
	switch dots := strings.Count(text, "."); {
	case dots < 2:
		return presented{}, errOpaque()
	case dots > 2:
		return presented{}, sdk.Deny("token_malformed", "the token is not a signed JWT: it has %d parts", dots+1)
	}
	head, rest, _ := strings.Cut(text, ".")
	body, signature, _ := strings.Cut(rest, ".")
	h := p.header.Load()
	if h == nil || h.text != head {
		var err error
		if h, err = p.readHeader(head); err != nil {
			return presented{}, err
		}
		p.header.Store(h)
	}
	claims, err := encoding.DecodeString(body)
	if err != nil {
		return presented{}, errMalformed()
	}
	t := presented{header: h, claims: sdk.NewClaims(claims), signed: text[:len(head)+1+len(body)]}
	if t.signature, err = encoding.DecodeString(signature); err != nil {
		return presented{}, errMalformed()
	}
	return t, nil
}

// verifies says whether one of the keys verifies the token.
func (t presented) verifies(keys []crypto.PublicKey) bool {
	return slices.ContainsFunc(keys, func(k crypto.PublicKey) bool { return t.method.Verify(t.signed, t.signature, k) == nil })
}

func errOpaque() error {
	return sdk.Deny("token_opaque", "the token is opaque, and this tenant reads JWTs only; an introspecting identity provider is needed for such tokens")
}

func errMalformed() error { return sdk.Deny("token_malformed", "the token is not a well-formed JWT") }

// readHeader reads and checks a header. Names in it are compared exactly.
func (p *Provider) readHeader(text string) (*header, error) {
	raw, err := encoding.DecodeString(text)
	var m map[string]any
	if err != nil || json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, errOpaque()
	}
	algorithm, _ := m["alg"].(string)
	typ, isText := m["typ"].(string)
	_, hasType := m["typ"]
	_, critical := m["crit"]
	kid, kidIsText := m["kid"].(string)
	_, hasKid := m["kid"]
	method := jwt.GetSigningMethod(algorithm)
	switch {
	case !slices.Contains(p.settings.Algorithms, algorithm) || method == nil:
		return nil, sdk.Deny("algorithm_not_allowed", "the token is signed with an algorithm that this tenant does not accept")
	case hasType && !isText || !slices.Contains(p.types, shortType(typ)):
		return nil, sdk.Deny("type_not_allowed", "the token is of a type that this tenant does not accept")
	case critical:
		return nil, sdk.Deny("token_malformed", "the token has critical extensions, and none is known")
	case hasKid && !kidIsText || len(kid) > maxKeyID:
		return nil, sdk.Deny("token_malformed", "the key id of the token is not a string of at most %d bytes", maxKeyID)
	}
	return &header{text: strings.Clone(text), method: method, keyID: kid}, nil
}

// shortType gives a media type in the form in which types are compared (RFC 7515 section 4.1.9).
func shortType(t string) string {
	return strings.TrimPrefix(strings.ToLower(t), "application/")
}
