// Package activeroles owns the default active-roles provider: it chooses, among the roles that a principal was granted,
// those that its credential asks for.
package activeroles
