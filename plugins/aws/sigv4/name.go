package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// sumSize is how many bytes a hash has behind a text that does not say by itself whose it is.
const sumSize = 8

// form is one of those in which STS takes texts.
type form struct {
	min, max int // bytes
	allowed  func(rune) rune
}

var (
	nameForm = form{2, 64, nameRune} // of session names and source identities
	tagForm  = form{1, 256, tagRune}
)

// subject is who a session is for.
type subject struct{ kind, text string }

func subjectOf(p sdk.Principal) subject {
	switch {
	case p.Name != "":
		return subject{"name", p.Name}
	case p.ID != "":
		return subject{"id", p.ID}
	}
	return subject{"operator", "operator"}
}

// named says whether the text is a principal's name. A principal may well be named operator, or like the id of another one.
func (s subject) named() bool  { return s.kind == "name" }
func (s subject) of() []string { return []string{s.kind, s.text} }

// sessionName fills a template in. One with several values in it ends in a hash of them: where a value ends in the text, it
// does not say.
func sessionName(template string, c *sdk.Connection, who subject) string {
	var of []string
	plain := true
	for _, v := range []struct {
		name, text string
		of         []string
		plain      bool
	}{
		{"{realm}", c.Realm, []string{c.Realm}, true},
		{"{connection}", c.Name, []string{c.Name}, true},
		{"{caller}", who.text, who.of(), who.named()},
	} {
		if strings.Contains(template, v.name) {
			plain = plain && v.plain && of == nil
			of = append(of, v.of...)
		}
	}
	text := strings.NewReplacer("{realm}", c.Realm, "{connection}", c.Name, "{caller}", who.text).Replace(template)
	return fit(text, plain, append(of, text), nameForm)
}

// tagValue gives the value of one of the tags that the settings know.
func tagValue(tag string, c *sdk.Connection, who subject) string {
	switch tag {
	case "realm":
		return fit(c.Realm, true, []string{c.Realm}, tagForm)
	case "connection":
		return fit(c.Name, true, []string{c.Name}, tagForm)
	}
	return fit(who.text, who.named(), who.of(), tagForm)
}

// nameRune: [\w+=,.@-].
func nameRune(c rune) rune {
	if notInName(c) {
		return '-'
	}
	return c
}

// tagRune: letters, digits, spaces and _.:/=+@-.
func tagRune(c rune) rune {
	if notInName(c) && !strings.ContainsRune(" :/", c) || c == ',' {
		return '_'
	}
	return c
}

var hashed = regexp.MustCompile(fmt.Sprintf(`-[0-9a-f]{%d}$`, 2*sumSize))

// fit makes a text that STS takes. What is not plain, has to be changed, or could be taken for what was, ends in a hash of
// what it is made of, so that no two callers have one name.
func fit(text string, plain bool, of []string, f form) string {
	out := strings.Map(f.allowed, text)
	if plain && out == text && len(out) >= f.min && len(out) <= f.max && !hashed.MatchString(out) {
		return out
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", of))
	return out[:min(len(out), f.max-2*sumSize-1)] + "-" + hex.EncodeToString(sum[:sumSize])
}
