package polaris

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/magiconair/properties"
)

// property is one entry of a file.
type property struct {
	key     string   // as it counts, without a profile
	path    []string // its segments, without quotes
	value   string   // as it is written, expressions and all
	items   []string // the values of a list that is written item by item; nil: the value is all
	line    int      // where it begins, from 1
	profile string   // for which alone it counts; empty: for all
	used    bool     // it became a setting
	note    string   // why it did not
}

// written gives the key as it stands in the file.
func (p *property) written() string {
	if p.profile == "" {
		return p.key
	}
	return "%" + p.profile + "." + p.key
}

// maxFile bounds a file, in bytes.
const maxFile = 4 << 20

// read gives the properties of a file in their order. The format is that of java.util.Properties in UTF-8; positions are by the
// logical line, as the library has none.
func read(content []byte, fault func(line int, summary, detail string)) []*property {
	if len(content) > maxFile {
		fault(0, fmt.Sprintf("the file is larger than %d MiB", maxFile>>20), "")
		return nil
	}
	if bad := bytes.IndexFunc(content, func(r rune) bool { return r == utf8.RuneError || r == 0 }); bad >= 0 {
		fault(1+bytes.Count(content[:bad], []byte("\n")), "this is no text in UTF-8", "")
		return nil
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	var out []*property
	for _, l := range logicalLines(string(content)) {
		found, err := loader.LoadBytes([]byte(l.text))
		if err != nil {
			fault(l.number, "this is no property", "A backslash is written twice; \\u takes four hexadecimal digits.")
			continue
		}
		for _, key := range found.Keys() {
			p := &property{line: l.number}
			p.value, _ = found.Get(key)
			p.profile, p.key = splitProfile(key)
			var ok bool
			if p.path, ok = splitKey(p.key); !ok && !ours(p.key) {
				p.path = []string{p.key}
			} else if !ok {
				fault(l.number, "the key cannot be read", "Segments are separated by dots; one with dots in it is put into double quotes.")
				continue
			}
			if strings.ContainsRune(p.value, utf8.RuneError) {
				fault(l.number, "the value has half a character in it", "Write the character itself, in UTF-8.")
				continue
			}
			out = append(out, p)
		}
	}
	return out
}

// ours says whether a key is one of those that are translated.
func ours(key string) bool {
	return strings.HasPrefix(key, "polaris.") || strings.HasPrefix(key, "quarkus.oidc.")
}

type logicalLine struct {
	text   string
	number int // of its first line
}

// logicalLines joins lines that end with an odd number of backslashes with the next one, as java.util.Properties.load has it;
// comments and empty lines are left out, and are never continued.
func logicalLines(content string) []logicalLine {
	var out []logicalLine
	content = strings.ReplaceAll(strings.ReplaceAll(content, "\r\n", "\n"), "\r", "\n")
	open := false
	for i, text := range strings.Split(content, "\n") {
		trimmed := strings.TrimLeft(text, " \t\f")
		switch {
		case open:
			last := &out[len(out)-1]
			last.text = last.text[:len(last.text)-1] + trimmed
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == '!':
			continue
		default:
			out = append(out, logicalLine{trimmed, i + 1})
		}
		text = out[len(out)-1].text
		open = (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
	}
	if open { // the file ends with it
		last := &out[len(out)-1]
		last.text = last.text[:len(last.text)-1]
	}
	return out
}

// splitProfile takes the profile off a key: %prod.a.b.
func splitProfile(key string) (profile, rest string) {
	if !strings.HasPrefix(key, "%") {
		return "", key
	}
	profile, rest, found := strings.Cut(key[1:], ".")
	if !found {
		return "", key
	}
	return strings.Trim(profile, "{}"), rest
}

// splitKey gives the segments of a key. A segment in double quotes may have dots, and a backslash before a quote.
func splitKey(key string) ([]string, bool) {
	var out []string
	for rest := key; ; {
		segment, after, ok := nextSegment(rest)
		if !ok {
			return nil, false
		}
		out = append(out, segment)
		if after == "" {
			return out, true
		}
		if after[0] != '.' {
			return nil, false
		}
		rest = after[1:]
	}
}

func nextSegment(s string) (segment, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '.')
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], i > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:], b.Len() > 0
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// shownKey gives a key for a comment: on one line, whatever is in it.
func shownKey(key string) string {
	if strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToASCII(key)
	}
	return key
}
