package config

import "fmt"

// Allowance lets parts of a plugin ask the daemon for something.
type Allowance struct {
	Types        []string // of the plugin's parts; none means all
	Realms       []string // none means all
	Principals   bool
	AccessKeys   bool
	SecretStores []string // whose secrets are given out, as far as they are granted to the realm
	Pos          Position

	at *trace
}

// Diagnose blames a key of the allow block, or the block if key is empty or not written.
func (a Allowance) Diagnose(key, summary, detail string) Diagnostic {
	return a.at.diagnoseKey(key, summary, detail)
}

func allowSchema() *block {
	return &block{form: repeated, attrs: map[string]kind{
		"types": texts, "realms": texts, "principals": boolean, "access_keys": boolean, "secret_stores": texts,
	}}
}

func (b *builder) allowances(plugin node) []Allowance {
	realms, stores := group(b.root.values, "realm"), group(b.root.values, "secret_store")
	var out []Allowance
	for _, n := range plugin.repeated("allow") {
		a := Allowance{
			Types: n.texts("types"), Realms: n.texts("realms"), Principals: n.boolean("principals"), AccessKeys: n.boolean("access_keys"),
			SecretStores: n.texts("secret_stores"), Pos: n.at.position(), at: n.at,
		}
		for _, key := range []string{"types", "realms"} {
			if _, ok := n.values[key]; ok && len(n.texts(key)) == 0 {
				n.faultShown(key, fmt.Sprintf("%s must not be empty", key), "Leave it out to mean all of them.")
			}
		}
		for i, name := range a.Types {
			if checkName(name) != nil {
				n.faultItem("types", i, "no part can have this type", "")
			}
		}
		b.references(n, "realms", "realm", a.Realms, realms)
		b.references(n, "secret_stores", "secret_store", a.SecretStores, stores)
		out = append(out, a)
	}
	return out
}

// references checks that every item of a list names a block that is declared.
func (b *builder) references(n node, key, what string, names []string, declared map[string]any) {
	for i, name := range names {
		if _, ok := declared[name]; !ok && !b.broken {
			n.faultItem(key, i, fmt.Sprintf("no such %s is declared", what), meant(name, keys(declared)))
		}
	}
}
