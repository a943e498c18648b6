// Package lifecycle owns the proof that no answer is wrong whatever befalls plugins: a real daemon and real plugin processes
// that are killed, stopped, replaced, configured anew and lie, under a steady load of decisions of which the right answers
// are known. Afterwards nothing is left behind.
package lifecycle
