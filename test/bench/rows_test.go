package bench

import (
	"fmt"
	"regexp"
	"strconv"
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
	// more makes fresh asks, where one in a hundred is new; without it all are asked again and again.
	more func(count int) []ask
	// naive is the row with which this one is compared, too.
	naive *row

	cells []*cell // by number of callers
	most  float64 // answers in a second so far
	from  answers // that were measured
}

// answers counts decisions by where they came from (realmgate_decision_cache_answers_total).
type answers struct{ memory, others int }

// rows gives what is measured: by the daemon as it is, by one whose plugin has no legs, by one that logs each decision, and by one with many realms.
func rows(o options, plain, naive, info, many *gate) []*row {
	var out []*row
	add := func(what string, g *gate, again []ask, more func(int) []ask) *row {
		r := &row{what: what, gate: g, server: g.server(true), asks: &asks{again: again}, more: more}
		out = append(out, r)
		return r
	}
	clients := plain.clients("internal-remembered", people)
	add("internal, remembered", plain, plain.own("internal-remembered", clients, o.tokens), func(n int) []ask { return plain.own("internal-remembered", clients, n) })
	add("external, remembered", plain, plain.theirs("claims-remembered", o.tokens), func(n int) []ask { return plain.theirs("claims-remembered", n) })
	mixed := plain.clients("mixed-remembered", people)
	plain.populate("mixed-remembered")
	add("mixed, remembered", plain, plain.both("mixed-remembered", mixed, o.tokens), func(n int) []ask { return plain.both("mixed-remembered", mixed, n+n%2) })
	logged := info.clients("internal-remembered", people)
	add("internal, remembered, each decision logged", info, info.own("internal-remembered", logged, o.tokens), func(n int) []ask { return info.own("internal-remembered", logged, n) })

	decided := func(suffix string, g *gate) []*row {
		own := g.clients("internal", people)
		ownMixed := g.clients("mixed", people)
		g.populate("directory")
		g.populate("mixed")
		return []*row{
			add("internal"+suffix, g, g.own("internal", own, o.tokens), nil),
			add("external, authenticator `claims`"+suffix, g, g.theirs("claims", o.tokens), nil),
			add("external, authenticator `default`"+suffix, g, g.theirs("directory", o.tokens), nil),
			add("mixed"+suffix, g, g.both("mixed", ownMixed, o.tokens), nil),
		}
	}
	legs := decided("", plain)
	add(fmt.Sprintf("external, authenticator `claims`, one of %d realms", o.realms), many, many.theirs(shapeName(shapeClaims), o.tokens), nil)
	for n, r := range decided(", naive", naive) {
		legs[n].naive = r
	}

	for _, k := range []struct{ alg, realm string }{{"RS256", "rs256"}, {"ES256", "es256"}, {"EdDSA", "eddsa"}} {
		r := add("a token, "+k.alg, plain, grants(k.realm, plain.clients(k.realm, people)), nil)
		r.names = false
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
