package child

import "maps"

// Program says what is run, and how.
type Program struct {
	// Path is the file that is executed: a native binary, a script that begins with #!, or with Command a runtime.
	Path string
	// SHA256 is its checksum in hexadecimal digits; empty: not pinned.
	SHA256 string
	// Command says that the file is executed by its path, as it is installed, although it may be a native binary: a runtime
	// looks for its own files beside itself.
	Command bool
	// Files are checksums of files that it reads, in hexadecimal digits, by their paths. They are checked before each start.
	Files map[string]string

	// Others says that processes may run as other users than the host, who may execute the copy of the binary then.
	Others bool

	Limits Limits

	Args []string
	Env  map[string]string // a process sees nothing of the host's own environment
	TLS  bool              // mutual TLS with certificates made at the start; false only where the operator opted out
}

// clone gives a copy that nobody else can change.
func (p Program) clone() Program {
	p.Args = append([]string(nil), p.Args...)
	p.Files, p.Env = maps.Clone(p.Files), maps.Clone(p.Env)
	return p
}
