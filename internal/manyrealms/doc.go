// Package manyrealms owns a configuration of very many realms for tests: five shapes in turn, with the keys that their tokens
// are signed with, and the provider of the foreign ones.
package manyrealms
