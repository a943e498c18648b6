package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// form is a secret as a text may have it, and how many of its bytes in a row are a piece of it.
type form struct {
	text  string
	piece int
}

// forms gives a secret as it is, escaped (also twice: an error in a log), for URLs, in base64 wherever in what is encoded it
// stands, in hexadecimal, and as numbers.
func forms(secret string) []form {
	quoted, plain := inner(strconv.Quote(secret)), asJSON(secret, false)
	out := []form{{secret, Piece}}
	for _, text := range []string{
		plain, asJSON(secret, true), quoted, inner(strconv.QuoteToASCII(secret)), asJSON(quoted, true), asJSON(plain, true), url.QueryEscape(secret), url.PathEscape(secret),
	} {
		out = append(out, form{text, Piece})
	}
	for skip := range min(3, len(secret)) {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := e.EncodeToString([]byte(secret[skip:]))
			out = append(out, form{text, Piece})
			if len(text) <= Piece && len(secret[skip:])%3 != 0 { // the last character depends on what comes behind it
				out = append(out, form{text[:len(text)-1], Piece})
			}
		}
	}
	digits := hex.EncodeToString([]byte(secret))
	out = append(out, form{digits, 2 * Piece}, form{strings.ToUpper(digits), 2 * Piece})
	var numbers []string
	for _, b := range []byte(secret) {
		numbers = append(numbers, strconv.Itoa(int(b)))
	}
	for _, between := range []string{" ", ",", ", "} {
		out = append(out, form{strings.Join(numbers, between), 2 * Piece})
	}
	slices.SortFunc(out, func(a, b form) int { return strings.Compare(a.text, b.text) })
	return slices.Compact(out)
}

func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// asJSON gives a text as JSON has it, with or without HTML escaped.
func asJSON(s string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	_ = e.Encode(s) // a text
	return inner(strings.TrimSuffix(b.String(), "\n"))
}
