package child

// Program says what is run, and how.
type Program struct {
	Path   string            // of the binary
	SHA256 string            // of the binary, hex; empty: not pinned
	Args   []string          // arguments
	Env    map[string]string // a process sees nothing of the host's own environment
	TLS    bool              // mutual TLS with certificates made at the start; false only where the operator opted out
}
