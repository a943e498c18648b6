// Package doctest owns the fenced blocks of the repository's documents, so that none of them stands there untried.
//
// A test takes blocks by their page and their whole info string, what stands behind the three backquotes:
//
//	doctest.Blocks(t, "docs/explain.md", "sh tour")
//
// and runs them, loads them, or compares them with what really comes out. Both are written out in the call, since a test of
// this package reads the tests of the whole repository, and fails for a block that no test takes, and for a call that finds
// none. A block that cannot be run says why, behind its language, where only who edits the page sees it:
//
//	```sh not-run: it needs an account of AWS
//
// Of such a block, too, commands of ours and targets of make are looked at: they exist, and so do their flags.
package doctest
