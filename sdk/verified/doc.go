// Package verified owns the memory of tokens whose signature was found good, so that a part which is shown the same token again
// and again does that work once. Nothing but the signature check is saved: what a token says is judged each time. A process has one
// store of bounded size, in which each instance knows only what it verified itself.
package verified
