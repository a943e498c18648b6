// Package generation builds everything that a configuration needs into one immutable value: the instances in the plugin
// processes, the secret stores, and per realm a plan, a token service, and the hosts that lead to it. It is the only place
// that does. A generation is built whole or with the realms marked that cannot be served; [Generation.Release] gives its
// instances back.
package generation
