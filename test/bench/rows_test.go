package bench

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// realms are those of the daemons that have few. Their names say what they are.
const realms = `
realm "internal" {}
realm "internal-remembered" {
  authentication {
    cache {
      max_age = "1h"
    }
  }
}
realm "rs256" {}
realm "es256" {
  authentication {
    token_broker {
      private_key_file = "%[1]s/ES256.pem"
    }
  }
}
realm "eddsa" {
  authentication {
    token_broker {
      private_key_file = "%[1]s/EdDSA.pem"
    }
  }
}
realm "claims" {
  tenant = "idp"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
realm "claims-remembered" {
  tenant = "idp"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
    cache {
      max_age = "1h"
    }
  }
}
realm "directory" {
  tenant = "idp"
  authentication {
    type = "external"
  }
}
realm "mixed" {
  tenant = "idp"
  authentication {
    type = "mixed"
  }
}
realm "mixed-remembered" {
  tenant = "idp"
  authentication {
    type = "mixed"
    cache {
      max_age = "1h"
    }
  }
}
`

// row is what is asked of a daemon, and what came of it.
type row struct {
	what string
	gate *gate
	server
	asks *asks
	// more makes fresh asks; without it all are asked again and again.
	more func(count int) []ask
	// remembered says that decisions are, but for those about fresh tokens.
	remembered bool
	// naive is the row with which this one is compared, too.
	naive *row

	cells []*cell // by number of callers
	most  float64 // answers in a second so far
	from  answers // that were measured
}

// answers counts decisions by where they came from (realmgate_decision_cache_answers_total).
type answers struct{ memory, others int }

// rows gives what is measured: by the daemon as it is, by one whose plugin has no legs, by one that logs each decision, and by
// one with many realms.
func rows(o options, plain, naive, info, many *gate) []*row {
	var out []*row
	add := func(what string, g *gate, again []ask) *row {
		out = append(out, &row{what: what, gate: g, server: g.server(true), asks: &asks{again: again}})
		return out[len(out)-1]
	}
	remembered := func(what string, g *gate, make func(count int) []ask) {
		r := add(what, g, make(o.tokens))
		r.remembered, r.more, r.asks.every = true, make, 100
	}
	own := func(g *gate, realm string) func(int) []ask {
		clients := g.clients(realm, people)
		return func(n int) []ask { return g.own(realm, clients, n) }
	}
	both := func(g *gate, realm string) func(int) []ask {
		clients := g.clients(realm, people)
		g.populate(realm)
		return func(n int) []ask { return g.both(realm, clients, n) }
	}
	theirs := func(n int) []ask { return plain.theirs("claims-remembered", n) }

	remembered("internal, remembered", plain, own(plain, "internal-remembered"))
	remembered("external, remembered", plain, theirs)
	remembered("mixed, remembered", plain, both(plain, "mixed-remembered"))
	remembered("internal, remembered, each decision logged", info, own(info, "internal-remembered"))

	decided := func(suffix string, g *gate) []*row {
		g.populate("directory")
		return []*row{
			add("internal"+suffix, g, own(g, "internal")(o.tokens)),
			add("external, authenticator `claims`"+suffix, g, g.theirs("claims", o.tokens)),
			add("external, authenticator `default`"+suffix, g, g.theirs("directory", o.tokens)),
			add("mixed"+suffix, g, both(g, "mixed")(o.tokens)),
		}
	}
	legs := decided("", plain)
	fresh := add("external, authenticator `claims`, each token new", plain, plain.theirs("claims", o.tokens))
	fresh.asks.every, fresh.more = 1, func(n int) []ask { return plain.theirs("claims", n) }
	add(fmt.Sprintf("external, authenticator `claims`, one of %d realms", o.realms), many, many.theirs(shapeName(shapeClaims), o.tokens))
	for n, r := range decided(", naive", naive) {
		legs[n].naive = r
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		realm := strings.ToLower(alg)
		add("a token, "+alg, plain, grants(realm, plain.clients(realm, people))).names = false
	}
	return out
}

var fromMemory = regexp.MustCompile(`(?m)^realmgate_decision_cache_answers_total\{from="(\w+)"\} (\S+)$`)

// decisions counts the decisions of a daemon by where they came from.
func (g *gate) decisions() (a answers) {
	g.t.Helper()
	for _, m := range fromMemory.FindAllStringSubmatch(g.Metrics(), -1) {
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			g.t.Fatal(err)
		}
		if m[1] == "memory" || m[1] == "shared" {
			a.memory += int(n)
		} else {
			a.others += int(n)
		}
	}
	return a
}
