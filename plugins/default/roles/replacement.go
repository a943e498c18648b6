package roles

import (
	"errors"
	"fmt"
	"strings"
)

// maxReplacement bounds a replacement in bytes.
const maxReplacement = 4096

// replacement is a parsed replacement: literal text and references to groups in turn.
type replacement []piece

// piece is literal text, or the text of a group if group is not negative.
type piece struct {
	text  string
	group int
}

// parseReplacement parses the replacement syntax of java.util.regex.Matcher: $1 and ${name} refer to groups, a backslash
// takes the next character as it is. As in Java a number takes as many digits as still name a group. What refers to no
// group is an error.
func parseReplacement(text string, of engine) (replacement, error) {
	if len(text) > maxReplacement {
		return nil, fmt.Errorf("the replacement is longer than %d bytes", maxReplacement)
	}
	var out replacement
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			out = append(out, piece{text: literal.String(), group: -1})
			literal.Reset()
		}
	}
	for rest := text; rest != ""; {
		switch rest[0] {
		case '\\':
			if len(rest) == 1 {
				return nil, errors.New("a backslash ends the replacement; write two for one")
			}
			literal.WriteByte(rest[1])
			rest = rest[2:]
		case '$':
			n, size, err := groupReference(rest, of)
			if err != nil {
				return nil, err
			}
			flush()
			out = append(out, piece{group: n})
			rest = rest[size:]
		default:
			literal.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	flush()
	return out, nil
}

// groupReference reads the reference at the start of text and says how many bytes it takes.
func groupReference(text string, of engine) (group, size int, err error) {
	if strings.HasPrefix(text, "${") {
		name, _, ok := strings.Cut(text[2:], "}")
		if !ok {
			return 0, 0, errors.New("the replacement has a ${ that is not closed")
		}
		if !isName(name) {
			return 0, 0, fmt.Errorf("%q is not the name of a group", name)
		}
		if group, ok = of.group(name); !ok {
			return 0, 0, fmt.Errorf("the regular expression has no group with the name %q", name)
		}
		return group, len(name) + 3, nil
	}
	if len(text) < 2 || !isDigit(text[1]) {
		return 0, 0, errors.New(`the replacement has a $ that refers to no group; write \$ for the character`)
	}
	group, size = int(text[1]-'0'), 2
	if group > of.groups() {
		return 0, 0, fmt.Errorf("the regular expression has no group %d", group)
	}
	for size < len(text) && isDigit(text[size]) {
		next := group*10 + int(text[size]-'0')
		if next > of.groups() {
			break
		}
		group, size = next, size+1
	}
	return group, size, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return s != ""
}

// append adds what the replacement makes of a match in s.
func (r replacement) append(to []byte, s string, m match) []byte {
	for _, p := range r {
		switch {
		case p.group < 0:
			to = append(to, p.text...)
		case m[2*p.group] >= 0:
			to = append(to, s[m[2*p.group]:m[2*p.group+1]]...)
		}
	}
	return to
}
