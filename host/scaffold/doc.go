// Package scaffold owns what the folder of a new plugin begins with: for each kind a part that works, its tests, and a
// configuration that selects it.
package scaffold
