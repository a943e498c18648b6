// Package pipeline decides: who is this caller, and which roles are active. It owns the order of a realm's stages, the one
// deadline of a decision, the rules of mixed mode, and the checks that the host makes itself, whatever the plugins
// answered. It does not know how a stage is reached: a [Leg] runs some adjacent stages in one place.
//
// The default answer is no. The zero [Decision] is unavailable, and only the last line of one function allows.
package pipeline
