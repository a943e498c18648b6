// Package roles owns the default principal-roles mapper: a filter and a sequence of mappings turn the roles of a foreign
// identity into requested ones. It also owns what both rest on: regular expressions that have look-ahead where they
// need it, and Java's replacement syntax, since configurations in the field are written in it.
package roles
