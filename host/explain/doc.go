// Package explain tells how a decision comes about: which parts a realm's plan goes through, what each was given and made, and
// why the answer is what it is. It owns what may be shown of that: no secret, and no token, neither whole nor the part of it that
// makes it valid.
//
// A decision that is explained is made by the same plan as any other one, stage by stage, and neither read from memory nor kept
// there. Those that are not explained know nothing of this.
package explain
