package bearer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

const (
	maxToken = 16 << 10
	maxID    = 128
)

// The properties that hold a token, in the names of Iceberg's clients, and its end in milliseconds since 1970, in the name
// that Polaris has for it.
const (
	propertyToken   = "token"
	propertyExpires = "expiration-time"
)

// Token is a bearer token. The zero Token is none.
type Token struct {
	value   string
	Expires time.Time // zero: unknown
	ID      string    // of a JWT that has one (jti): what the remote system logs
}

// Parse checks that a text can be a token: 1 to 16384 characters of ASCII that can be seen. Where it is a JWT, it tells its
// end and its id; that is believed without verifying anything, since whoever gave the token could give any other. No error
// repeats the text.
func Parse(text []byte) (Token, error) {
	if len(text) == 0 {
		return Token{}, errors.New("the token is empty")
	}
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("the token is longer than %d bytes", maxToken)
	}
	for _, c := range text {
		if !visible(c) {
			return Token{}, errors.New("the token has a space or a character in it that no header can carry")
		}
	}
	t := Token{value: string(text)}
	t.inspect()
	return t, nil
}

func visible(c byte) bool { return c > ' ' && c < 0x7f }

// inspect reads what a JWT says of itself (RFC 7519 section 4.1); of another token nothing is known.
func (t *Token) inspect() {
	parts := strings.Split(t.value, ".")
	if len(parts) != 3 {
		return
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return
	}
	var claims struct {
		Expires json.Number `json:"exp"`
		ID      string      `json:"jti"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return
	}
	if exp, err := claims.Expires.Float64(); err == nil && exp > 0 && exp < 1<<40 {
		t.Expires = time.Unix(int64(exp), 0)
	}
	if len(claims.ID) <= maxID && !strings.ContainsFunc(claims.ID, func(c rune) bool { return c > 0x7e || !visible(byte(c)) }) {
		t.ID = claims.ID
	}
}

// Credentials gives the token as the credentials of a connection.
func (t Token) Credentials() sdk.ConnectionCredentials {
	c := sdk.ConnectionCredentials{Properties: map[string]sdk.Secret{propertyToken: sdk.NewSecret([]byte(t.value))}, Expires: t.Expires, AuditID: t.ID}
	if !t.Expires.IsZero() {
		c.Properties[propertyExpires] = sdk.NewSecret([]byte(strconv.FormatInt(t.Expires.UnixMilli(), 10)))
	}
	return c
}
