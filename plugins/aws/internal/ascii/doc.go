// Package ascii owns the question of which characters a text of a protocol consists of.
package ascii
