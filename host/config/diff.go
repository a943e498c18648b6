package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What became of a block.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// BlockChange is what became of one block between two configurations. A realm's block has in it what it inherits, and so
// has a tenant's.
type BlockChange struct {
	Kind   string      // of the block, as it is written: realm; empty for the keys at the top
	Name   string      // its label; empty if it has none
	Change string      // Added, Removed or Changed
	Pos    Position    // of the block; in the old configuration if it was removed
	Keys   []KeyChange // of a block that was changed, sorted by key
}

// KeyChange is one key that differs. The values are JSON, shortened; empty where the key was not set, and … in place of a
// value that is not shown.
type KeyChange struct {
	Key      string // with the blocks around it: authentication.token_broker.type
	Old, New string
	Pos      Position // of the new value, which a block that is inherited from may have; of the old one if it is gone
}

// Shown says whether the texts among the settings of a part may be shown, because it takes secrets as references only. The
// kind is the plugin's: token-broker. References, numbers and booleans are always shown.
type Shown func(kind, typ string) bool

// Diff gives what is different in after, by blocks in the order of their kinds and names. It shows no text of a part that
// shown is against, and never the environment and the arguments of a plugin.
func Diff(before, after *Config, shown Shown) []BlockChange {
	type key struct{ kind, name string }
	old, found := map[key]effective{}, map[key]effective{}
	for _, e := range before.blocks {
		old[key{e.kind, e.name}] = e
	}
	var out []BlockChange
	for _, e := range after.blocks {
		k := key{e.kind, e.name}
		found[k] = e
		was, ok := old[k]
		if !ok {
			out = append(out, BlockChange{Kind: e.kind, Name: e.name, Change: Added, Pos: e.at.position()})
			continue
		}
		if was.same(e) {
			continue
		}
		d := differ{shown: shown}
		d.block(e.schema, e.kind, e.name, was.side(), e.side(), "")
		if len(d.keys) > 0 {
			out = append(out, BlockChange{Kind: e.kind, Name: e.name, Change: Changed, Pos: e.at.position(), Keys: d.keys})
		}
	}
	for k, e := range old {
		if _, ok := found[k]; !ok {
			out = append(out, BlockChange{Kind: e.kind, Name: e.name, Change: Removed, Pos: e.at.position()})
		}
	}
	slices.SortFunc(out, func(x, y BlockChange) int { return strings.Compare(x.Kind+"\x00"+x.Name, y.Kind+"\x00"+y.Name) })
	return out
}

// effective is a block as it counts, with what it inherits. There may be ten thousand that inherit the same: of each is kept what
// was written, and what comes of it is made when it is asked for.
type effective struct {
	kind, name string
	written    []byte // a JSON object, a fraction of what it is as maps
	at         *trace
	schema     *block
	above      []byte          // what else it is made of, likewise
	whole      func(node) side // makes it of what is written; nil: the block inherits nothing
}

// same says whether two blocks are made of the same.
func (e effective) same(o effective) bool {
	return bytes.Equal(e.written, o.written) && bytes.Equal(e.above, o.above)
}

func (e effective) side() side {
	d := json.NewDecoder(bytes.NewReader(e.written))
	d.UseNumber()
	n := node{at: e.at, written: true, name: title(e.kind, e.name), label: e.name, diags: &Diagnostics{}}
	_ = d.Decode(&n.values) // it was written by encode
	if e.whole == nil {
		return side{n.values, n.at}
	}
	return e.whole(n)
}

// encode writes values of a configuration; equal ones alike.
func encode(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil // the parser gives nothing that cannot be written
	}
	return bytes.Clone(bytes.TrimSpace(out.Bytes())) // it is kept: the buffer is larger
}

// keep notes a block that inherits nothing for Diff.
func (b *builder) keep(kind, name string, values map[string]any, at *trace) {
	b.blocks = append(b.blocks, effective{kind: kind, name: name, written: encode(values), at: at, schema: b.schema.blocks[kind]})
}

// keepTop notes the keys at the top and the blocks of the daemon itself.
func (b *builder) keepTop() {
	top := map[string]any{}
	for name := range b.schema.attrs {
		if v, ok := b.root.values[name]; ok {
			top[name] = v
		}
	}
	b.blocks = append(b.blocks, effective{written: encode(top), at: b.root.at, schema: b.schema})
	for _, kind := range []string{"log", "admin", "metrics", "directory", "audit", "decision_cache", "active_roles_provider"} {
		n := b.root.block(kind)
		b.keep(kind, "", n.values, n.at)
	}
	for _, kind := range []string{"listener", "plugin", "secret_store", "service_identity", "credential_vendor"} {
		for _, n := range b.root.labelled(kind) {
			b.keep(kind, n.label, n.values, n.at)
		}
	}
}

// keepTenants notes tenants with the defaults of all.
func (b *builder) keepTenants(all []node, above node) {
	s, defaults := b.schema.blocks["tenant"], encode(above.values)
	above = above.alone()
	whole := func(own node) side {
		n := inherit(s, own, above)
		return side{n.values, n.at}
	}
	for _, own := range all {
		b.blocks = append(b.blocks, effective{kind: "tenant", name: own.label, written: encode(own.values), at: own.at, schema: s, above: defaults, whole: whole})
	}
}

// keepRealms notes realms with their authentication and connections as they count.
func (b *builder) keepRealms(nodes []node, publicURL string) {
	i := inherited{
		schema: b.schema, authentication: b.root.block("authentication").alone(), connections: b.root.block("connections").alone(),
		publicURL: publicURL, at: b.root.at.child("public_url"),
	}
	above := encode([]any{i.authentication.values, i.connections.values, publicURL})
	for _, n := range nodes {
		b.blocks = append(b.blocks, effective{kind: "realm", name: n.label, written: encode(n.values), at: n.at, schema: b.schema.blocks["realm"], above: above, whole: i.realm})
	}
}

// inherited is what all realms inherit.
type inherited struct {
	schema                      *block
	authentication, connections node
	publicURL                   string
	at                          *trace // of public_url
}

// realm gives a realm as it counts.
func (i *inherited) realm(n node) side {
	out := side{maps.Clone(n.values), &trace{src: n.at.src, line: n.at.line, column: n.at.column, children: n.at.children.clone()}}
	if out.values == nil {
		out.values = map[string]any{}
	}
	auth := inherit(i.schema.blocks["realm"].blocks["authentication"], n.block("authentication"), i.authentication)
	inner := maps.Clone(auth.values)
	if auth.text("type") == External {
		delete(inner, "token_broker")
		delete(inner, "token_service")
	}
	out.values["authentication"] = inner
	out.at.set("authentication", auth.at)
	if _, ok := n.values["issuer"]; !ok {
		out.values["issuer"] = i.publicURL + "/realms/" + n.label
	}
	if out.at.child("issuer") == nil {
		out.at.set("issuer", i.at)
	}
	connections := inherit(i.schema.blocks["connections"], n.block("connections"), i.connections)
	out.values["connections"] = connections.values
	out.at.set("connections", connections.at)
	return out
}

// differ collects the keys of one block that differ.
type differ struct {
	shown Shown
	keys  []KeyChange
}

// side is one of the two configurations, at some block or value.
type side struct {
	values map[string]any
	at     *trace
}

func (s side) inner(key string) side { return side{group(s.values, key), s.at.child(key)} }

// block compares two blocks of one schema. Of a part it shows texts only if shown says so for both.
func (d *differ) block(s *block, kind, label string, old, now side, path string) {
	hide := s.part && !(d.mayShow(kind, label, old) && d.mayShow(kind, label, now))
	for _, key := range union(old.values, now.values) {
		inner, at := s.blocks[key], join(path, key)
		switch {
		case inner == nil:
			own := s.attrs[key] != 0
			d.value(!own && hide || own && mayBeSecret(kind, key), at, key, old, now)
		case inner.form == single:
			d.block(inner, key, "", old.inner(key), now.inner(key), at)
		case inner.form == labelled:
			x, y := old.inner(key), now.inner(key)
			for _, name := range union(x.values, y.values) {
				d.block(inner, key, name, x.inner(name), y.inner(name), join(at, name))
			}
		default:
			x, y := old.items(key), now.items(key)
			for _, n := range union(x.values, y.values) {
				d.block(inner, key, "", x.inner(n), y.inner(n), join(at, n))
			}
		}
	}
}

// items gives a list of blocks as blocks with their numbers for names.
func (s side) items(key string) side {
	out := side{map[string]any{}, s.at.child(key)}
	list, _ := s.values[key].([]any)
	for n, item := range list {
		out.values[strconv.Itoa(n)] = item
	}
	return out
}

// partKinds are the kinds of the parts whose blocks have other names.
var partKinds = map[string]string{"secret_store": "secret-resolver"}

func (d *differ) mayShow(kind, label string, s side) bool {
	part, typ := partOf(kind, label, s)
	return d.shown != nil && d.shown(part, typ)
}

// mayBeSecret says which of the host's own keys hold what may be one.
func mayBeSecret(kind, key string) bool {
	return kind == "plugin" && (key == "env" || key == "args") || kind == "service_identity" && key == "credentials"
}

// value compares what two blocks have under a key, and goes down as far as both have the same shape.
func (d *differ) value(hide bool, path, key string, old, now side) {
	x, was := old.values[key]
	y, is := now.values[key]
	if was && is && reflect.DeepEqual(x, y) {
		return
	}
	oldMap, m := x.(map[string]any)
	newMap, n := y.(map[string]any)
	oldList, l := x.([]any)
	newList, k := y.([]any)
	switch {
	case m && n:
		for _, inner := range union(oldMap, newMap) {
			d.value(hide, join(path, inner), inner, old.inner(key), now.inner(key))
		}
		return
	case l && k && len(oldList) == len(newList):
		a, b := old.items(key), now.items(key)
		for i := range oldList {
			d.value(hide, join(path, strconv.Itoa(i)), strconv.Itoa(i), a, b)
		}
		return
	}
	c := KeyChange{Key: path}
	if was {
		c.Old, c.Pos = display(x, hide), old.at.find([]string{key}).position()
	}
	if is {
		c.New, c.Pos = display(y, hide), now.at.find([]string{key}).position()
	}
	d.keys = append(d.keys, c)
}

const maxDisplay = 200 // bytes of a value that are shown

// userInfo finds what stands before the last @ of an address: a password may have any character, a / and a " too.
var userInfo = regexp.MustCompile(`(?s)://.*@`)

// query finds the parameters of an address, or its fragment.
var query = regexp.MustCompile(`(?s)(://[^\s?#]*[?#]).+`)

// HasUserInfo says whether a text has an address with a name or a password in it, as far as can be told: something stands before an @.
func HasUserInfo(text string) bool { return userInfo.MatchString(text) }

// address hides in a text what may be secret in an address: who asks, and parameters.
func address(text string) string {
	return query.ReplaceAllString(userInfo.ReplaceAllString(text, "://"+hidden+"@"), "${1}"+hidden)
}

// display gives a value as JSON that fits on a line. Texts are left out if hide is set, unless they are references, which
// are made to be seen.
func display(v any, hide bool) string {
	text := string(encode(without(v, hide)))
	if len(text) > maxDisplay {
		text = strings.ToValidUTF8(text[:maxDisplay], "") + hidden
	}
	return text
}

func without(v any, hide bool) any {
	switch v := v.(type) {
	case string:
		if hide && !isReference(v) {
			return hidden
		}
		return address(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = without(e, hide)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[address(k)] = without(e, hide)
		}
		return out
	}
	return v
}

// isReference says whether a text is a reference to a secret, which is none itself.
func isReference(text string) bool {
	return strings.HasPrefix(text, "urn:realmgate-secret:") || strings.HasPrefix(text, "urn:polaris-secret:")
}

// union gives the keys of both, sorted; numbers in their order.
func union(x, y map[string]any) []string {
	all := maps.Clone(x)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, y)
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(number10(a), number10(b)), strings.Compare(a, b))
	})
}

// number10 gives the value of an index, 0 for another key.
func number10(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
