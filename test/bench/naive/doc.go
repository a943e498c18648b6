// Command naive is the baseline for legs: the bundled parts, served by the unary services alone, so that each stage of a
// decision is a call of its own.
package main
