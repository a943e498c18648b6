// Package config owns the configuration: it reads HCL files, the REALMGATE_* environment and flags into one [Config]
// value, checks everything that can be checked without starting a plugin, and remembers where each key was written.
//
// The layers are, from weak to strong: the built-in defaults, the files in the order in which they are given, the
// environment, the flags. A list replaces the whole list of a weaker layer. Every fault of a run is reported at once as a
// [Diagnostic] with file, line, column and the line itself; a configuration with an error gives no Config.
//
// In the block of a part (an identity provider, a token broker, a secret store, ...) the key type chooses the
// implementation, and everything else belongs to it: those settings stay raw JSON here. When their owner finds fault with
// them by a JSON pointer, [Part.Diagnose] turns the pointer back into a place in a file.
package config
