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
	what   string
	daemon string // which
	// maker prepares the daemon, and gives what makes asks.
	maker func(g *gate) func(count int) []ask
	fresh int // one in so many asks is a new one; 0: all are asked again and again
	// remembered says that decisions are, but for those about fresh tokens.
	remembered bool
	nameless   bool // the answers name nobody
	// naive is the row with which this one is compared, too.
	naive *row

	gate *gate
	server
	asks *asks
	more func(count int) []ask // makes fresh asks

	cells []*cell // by number of callers
	most  float64 // answers in a second so far
	from  answers // that were measured
}

// The daemons that are measured.
const (
	daemonPlain = "as it is"
	daemonNaive = "with a plugin that has no legs"
	daemonInfo  = "that logs each decision"
	daemonMany  = "with many realms"
)

// answers counts decisions by where they came from (realmgate_decision_cache_answers_total).
type answers struct{ memory, others int }

// rows gives all that can be measured of decisions and tokens. Nothing is prepared yet.
func rows(o options) []*row {
	var out []*row
	add := func(r *row) *row {
		out = append(out, r)
		return r
	}
	remembered := func(what, daemon string, maker func(g *gate) func(int) []ask) {
		add(&row{what: what, daemon: daemon, maker: maker, fresh: 100, remembered: true})
	}
	remembered("internal, remembered", daemonPlain, own("internal-remembered"))
	remembered("external, remembered", daemonPlain, theirs("claims-remembered"))
	remembered("mixed, remembered", daemonPlain, both("mixed-remembered"))
	remembered("internal, remembered, each decision logged", daemonInfo, own("internal-remembered"))

	decided := func(suffix, daemon string) []*row {
		return []*row{
			add(&row{what: "internal" + suffix, daemon: daemon, maker: own("internal")}),
			add(&row{what: "external, authenticator `claims`" + suffix, daemon: daemon, maker: theirs("claims")}),
			add(&row{what: "external, authenticator `default`" + suffix, daemon: daemon, maker: func(g *gate) func(int) []ask {
				g.populate("directory")
				return theirs("directory")(g)
			}}),
			add(&row{what: "mixed" + suffix, daemon: daemon, maker: both("mixed")}),
		}
	}
	legs := decided("", daemonPlain)
	add(&row{what: "external, authenticator `claims`, each token new", daemon: daemonPlain, maker: theirs("claims"), fresh: 1})
	add(&row{what: fmt.Sprintf("external, authenticator `claims`, one of %d realms", o.realms), daemon: daemonMany, maker: theirs(shapeName(shapeClaims))})
	for n, r := range decided(", naive", daemonNaive) {
		legs[n].naive = r
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		add(&row{what: "a token, " + alg, daemon: daemonPlain, nameless: true, maker: func(g *gate) func(int) []ask {
			all := grants(strings.ToLower(alg), g.clients(strings.ToLower(alg), people))
			return func(int) []ask { return all }
		}})
	}
	return out
}

// own makes asks about tokens that a realm issues.
func own(realm string) func(g *gate) func(int) []ask {
	return func(g *gate) func(int) []ask {
		clients := g.clients(realm, people)
		return func(n int) []ask { return g.own(realm, clients, n) }
	}
}

// theirs makes asks about the provider's tokens.
func theirs(realm string) func(g *gate) func(int) []ask {
	return func(g *gate) func(int) []ask { return func(n int) []ask { return g.theirs(realm, n) } }
}

// both makes asks about either.
func both(realm string) func(g *gate) func(int) []ask {
	return func(g *gate) func(int) []ask {
		clients := g.clients(realm, people)
		g.populate(realm)
		return func(n int) []ask { return g.both(realm, clients, n) }
	}
}

// prepare has the row's daemon run, with what is asked of it.
func (r *row) prepare(o options, g *gates) {
	r.gate = g.running(o, r.daemon)
	make := r.maker(r.gate)
	r.server, r.asks = r.gate.server(!r.nameless), &asks{again: make(o.tokens), every: r.fresh}
	if r.fresh > 0 {
		r.more = make
	}
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
