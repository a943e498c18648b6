package polaris

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/realmgate/realmgate/host/config"
)

// Options say what the properties do not.
type Options struct {
	File    string            // name of the file, for faults and comments
	Profile string            // the Quarkus profile whose properties count; empty means prod
	Tenants map[string]string // realm -> tenant, for external and mixed realms
	// Lookup gives the value of an environment variable that an expression refers to; nil: there are none. It is never asked for
	// what may be a secret.
	Lookup func(name string) (string, bool)
}

// Import gives the configuration that means what the properties mean, as HCL. It is nil if a diagnostic is an error; a warning
// names what works otherwise than in Polaris.
func Import(content []byte, o Options) ([]byte, config.Diagnostics) {
	o.Profile = cmp.Or(o.Profile, "prod")
	i := &importer{options: o, byKey: map[string]*property{}, below: map[string][]*property{}, owners: map[string]*property{}, byLabel: map[string]*tenant{}, named: map[string]bool{}}
	if strings.Contains(o.Profile, ",") {
		i.fault(0, "the profile is one name", "Of several profiles, take that which comes before the others in Quarkus, and the properties that count of the rest into the file.")
	}
	i.all = read(content, i.fault)
	i.choose()
	i.joinItems()
	i.index()
	i.translate()
	if diags := i.diags.Sort(); diags.Err() != nil {
		return nil, diags
	}
	return i.write(), i.diags.Sort()
}

// importer translates one file.
type importer struct {
	options Options
	all     []*property
	byKey   map[string]*property   // those that count, by their segments
	below   map[string][]*property // those that count, by the segments that they begin with
	owners  map[string]*property   // of variables whose names were made of a property's
	named   map[string]bool        // variables that properties name themselves
	byLabel map[string]*tenant     // those that are enabled
	diags   config.Diagnostics
	top     []*block
	env     []string // variables that hold secrets
}

func (i *importer) fault(line int, summary, detail string) {
	i.diags = append(i.diags, i.diagnostic(line, summary, detail))
}

func (i *importer) warn(line int, summary, detail string) {
	d := i.diagnostic(line, summary, detail)
	d.Warning = true
	if !slices.Contains(i.diags, d) { // what is inherited is written more than once
		i.diags = append(i.diags, d)
	}
}

func (i *importer) diagnostic(line int, summary, detail string) config.Diagnostic {
	d := config.Diagnostic{File: i.options.File, Summary: summary, Detail: detail}
	if line > 0 {
		d.Line, d.Column = line, 1
	}
	return d
}

// choose finds the properties that count: of equal keys the last one, and one of the profile before one of none.
func (i *importer) choose() {
	for _, p := range i.all {
		if p.profile != "" && !slices.Contains(strings.Split(p.profile, ","), i.options.Profile) {
			p.note = "for another profile"
			continue
		}
		key := joined(p.path)
		old := i.byKey[key]
		switch {
		case old == nil:
			i.byKey[key] = p
		case old.profile != "" && p.profile == "":
			p.note = fmt.Sprintf("line %d counts instead", old.line)
		default:
			old.note = fmt.Sprintf("line %d counts instead", p.line)
			i.byKey[key] = p
		}
	}
}

var item = regexp.MustCompile(`^(.+)\[(\d{1,4})\]$`)

// joinItems makes one property of those that are the items of a list: key[0], key[1].
func (i *importer) joinItems() {
	type at struct {
		n int
		p *property
	}
	lists := map[string][]at{}
	for key, p := range i.byKey {
		if m := item.FindStringSubmatch(p.path[len(p.path)-1]); m != nil && ours(p.key) {
			n, _ := strconv.Atoi(m[2]) // digits
			base := joined(slices.Concat(p.path[:len(p.path)-1], []string{m[1]}))
			lists[base] = append(lists[base], at{n, p})
			delete(i.byKey, key)
		}
	}
	for base, items := range lists {
		slices.SortFunc(items, func(a, b at) int { return a.n - b.n })
		first, values := items[0].p, make([]string, 0, len(items))
		for n, it := range items {
			values = append(values, it.p.value)
			if n > 0 {
				it.p.note = fmt.Sprintf("an item of the list of line %d", first.line)
			}
		}
		if whole := i.byKey[base]; whole != nil {
			i.fault(first.line, shownKey(first.written())+" is an item of a list that line "+strconv.Itoa(whole.line)+" has as a whole", "Write it in one of the two ways.")
			continue
		}
		first.path, first.items = strings.Split(base, "\x00"), values
		if first.value == "" { // it is not empty for that
			first.value = strings.Join(values, "")
		}
		i.byKey[base] = first
	}
}

// maxSegments is how many segments what is looked for begins with, at most.
const maxSegments = 8

// index finds the properties that count by what they begin with, in the order of the file, and the variables that they name.
func (i *importer) index() {
	for _, p := range i.all {
		if m := whole.FindStringSubmatch(p.value); m != nil && variable.MatchString(m[1]) {
			i.named[m[1]] = true
		}
		if p.note != "" || !ours(p.key) {
			continue
		}
		for n := 1; n < min(len(p.path), maxSegments); n++ {
			prefix := joined(p.path[:n])
			i.below[prefix] = append(i.below[prefix], p)
		}
	}
}

func joined(path []string) string { return strings.Join(path, "\x00") }

// under gives the properties below a prefix that count, in the order of the file.
func (i *importer) under(prefix ...string) []*property {
	var out []*property
	for _, p := range i.below[joined(prefix)] {
		if p.note == "" {
			out = append(out, p)
		}
	}
	return out
}

// get gives a property that counts; nil if it is not set. An empty value is as good as none, as in MicroProfile Config.
func (i *importer) get(path ...string) *property {
	p := i.byKey[joined(path)]
	if p == nil {
		return nil
	}
	if p.value == "" {
		p.note = "it is empty"
		return nil
	}
	return p
}

// text gives the value of a property with its expressions evaluated, and marks the property as used.
func (i *importer) text(p *property) string {
	if len(p.items) > 1 {
		i.fault(p.line, shownKey(p.written())+" is an item of a list, where one value is wanted", "")
	}
	return i.evaluate(p, p.value)
}

// evaluate is text for a value of a property.
func (i *importer) evaluate(p *property, written string) string {
	p.used = true
	e := &expander{lookup: i.lookup, remaining: maxValue}
	value, err := e.expand(written, 0)
	if err != nil {
		i.fault(p.line, shownKey(p.written())+" cannot be evaluated", sentence(err.Error()))
	}
	if isAddress.MatchString(p.key) || authority.MatchString(value) {
		i.checkAddress(p, value)
	}
	return value
}

// isAddress finds keys whose value is an address. Elsewhere an @ or a # may be part of a name, as in https://ns/claims#roles.
var isAddress = regexp.MustCompile(`(url|uri|issuer|jwks-path|introspection-path)$`)

// authority finds an address in which somebody is named before the host.
var authority = regexp.MustCompile(`://[^/?#]*@`)

// checkAddress refuses addresses with what may be a secret, which would be copied.
func (i *importer) checkAddress(p *property, value string) {
	switch {
	case config.HasUserInfo(value):
		i.fault(p.line, shownKey(p.written())+" has a password in it", "It would be copied into the configuration. Take it out of the address.")
	case query.MatchString(value):
		i.fault(p.line, shownKey(p.written())+" has a query in it", "It may hold a secret, which would be copied into the configuration. Take it out of the address.")
	}
}

// query finds an address with parameters, or with a fragment.
var query = regexp.MustCompile(`://[^\s?#]*[?#]\S`)

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// lookup gives what an expression refers to, as it is written: environment variables go before the file, as in Polaris.
func (i *importer) lookup(name string) (string, bool, error) {
	path, ok := splitKey(name)
	var p *property
	if ok {
		p = i.byKey[joined(path)]
	}
	if p != nil && isSecret(path) || mayBeSecret(name) {
		return "", false, fmt.Errorf("it refers to a secret, which would be copied into the configuration")
	}
	if i.options.Lookup != nil {
		for _, v := range variableNames(name) {
			if value, found := i.options.Lookup(v); found {
				// What a variable holds is evaluated too, as SmallRye does.
				return value, true, nil
			}
		}
	}
	if p != nil && p.value != "" {
		if !ours(p.key) {
			p.note = "it went into properties that refer to it"
		}
		return p.value, true, nil
	}
	return "", false, nil
}

// boolean gives a property that is true or false.
func (i *importer) boolean(otherwise bool, path ...string) bool {
	p := i.get(path...)
	if p == nil {
		return otherwise
	}
	switch v := strings.ToLower(strings.TrimSpace(i.text(p))); v { // SmallRye trims it
	case "true", "1", "yes", "y", "on":
		return true
	case "false", "0", "no", "n", "off":
		return false
	default: // false in Quarkus, whatever was meant
		i.fault(p.line, shownKey(p.written())+" is neither true nor false", "")
		return otherwise
	}
}

// list gives the items of a property: as they are written one by one, or with commas between them; a comma after a backslash belongs
// to an item then.
func (i *importer) list(p *property) []string {
	var out []string
	for _, item := range p.items {
		if s := strings.TrimSpace(i.evaluate(p, item)); s != "" {
			out = append(out, s)
		}
	}
	if p.items != nil {
		return out
	}
	var b strings.Builder
	flush := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			out = append(out, s)
		}
		b.Reset()
	}
	value := i.text(p)
	for n := 0; n < len(value); n++ {
		switch {
		case value[n] == '\\' && n+1 < len(value) && value[n+1] == ',':
			n++
			b.WriteByte(',')
		case value[n] == ',':
			flush()
		default:
			b.WriteByte(value[n])
		}
	}
	flush()
	return out
}

// secret gives a reference to an environment variable in place of a secret's value, and says what to put there.
func (i *importer) secret(p *property) string {
	p.used = true
	name, named := i.secretVariable(p, 0)
	if !named {
		i.warn(p.line, shownKey(p.written())+" is a secret: it is not copied", "Set the environment variable "+name+" of the daemon to its value.")
	}
	return i.reference(name, p.line)
}

// undeclared gives such a reference in place of a value of which nothing is known.
func (i *importer) undeclared(p *property) string {
	p.used = true
	name, _ := i.secretVariable(p, 0)
	i.warn(p.line, shownKey(p.written())+" may be a secret: it is not copied",
		"Set the environment variable "+name+" of the daemon to its value. If the plugin takes no secret there, write the value in place of the reference.")
	return i.reference(name, p.line)
}

// secretVariable gives the variable that holds a secret: the one that its expression names, or the one by which Quarkus itself
// would find the property.
func (i *importer) secretVariable(p *property, depth int) (name string, named bool) {
	if m := whole.FindStringSubmatch(p.value); m != nil {
		if variable.MatchString(m[1]) {
			return m[1], true
		}
		if path, ok := splitKey(m[1]); ok && depth < maxDepth {
			if other := i.byKey[joined(path)]; other != nil {
				other.used = true
				return i.secretVariable(other, depth+1)
			}
		}
	}
	name = strings.ToUpper(unfit.ReplaceAllString(p.key, "_"))
	if !variable.MatchString(name) {
		name = "SECRET_" + name
	}
	return i.ownVariable(name, p), false
}

// ownVariable gives the name of a variable that is made of a property's: one that no other property has, or names itself.
func (i *importer) ownVariable(name string, p *property) string {
	own := name
	taken := func() bool { return i.named[own] || i.owners[own] != nil && i.owners[own] != p }
	for n := 2; taken(); n++ { // a-b and a_b are two properties with one name
		own = name + "_" + strconv.Itoa(n)
	}
	i.owners[own] = p
	return own
}

// store is the name of the secret store of environment variables.
const store = "environment"

func (i *importer) reference(variable string, line int) string {
	if len(variable) > 200 {
		i.fault(line, "the name of the environment variable for this secret is too long", "Refer to a variable of your own: ${NAME}.")
	}
	if !slices.Contains(i.env, variable) {
		i.env = append(i.env, variable)
	}
	return "urn:realmgate-secret:" + store + ":" + variable
}

// secretWord finds what may be a secret by its name: long words anywhere, short ones alone, since a bypass is no password.
var secretWord = regexp.MustCompile(`(?i)(secret|password|passwd|passphrase|passwort|credential|private[-_]?key|api[-_]?key|access[-_]?key|symmetric[-_]?key|signing[-_]?key|hmac|passcode|(token|key|pwd|pass|jwt)s?([-_.]?v?\d+)?$` +
	`|(^|[^a-z])(pass|pwd|pw|pin|psk|otp|salt|seed|cred|creds|auth|bearer)([^a-z]|$))`)

// pathWord finds what says by its last word where a secret is, or what kind it has.
var pathWord = regexp.MustCompile(`(?i)[^a-z](file|path|dir|location|url|uri|method|name)$`)

// mayBeSecret says whether the value of a key may be a secret, by its words.
func mayBeSecret(key string) bool { return secretWord.MatchString(key) && !pathWord.MatchString(key) }

// isSecret says whether a property of this path holds a secret.
func isSecret(path []string) bool {
	return mayBeSecret(strings.Join(path, "."))
}
