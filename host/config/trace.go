package config

// trace says where a value was written, and where the values inside it were.
type trace struct {
	children map[string]*trace
}

// Diagnose blames the place in Settings that a JSON pointer (RFC 6901) names, or the nearest place above it that was
// written down; /type is the key that chooses the implementation. A sensitive diagnostic shows no line of the file.
func (p Part) Diagnose(pointer, summary, detail string, warning, sensitive bool) Diagnostic {
	return Diagnostic{Summary: summary, Detail: detail, Warning: warning}
}

// Diagnose blames a top-level key, or a key in a block: log.level.
func (c *Config) Diagnose(key, summary, detail string) Diagnostic {
	return Diagnostic{Summary: summary, Detail: detail}
}

// Diagnose blames a key of the listener (tls.cert_file, for one), or its block if key is empty or not written.
func (l Listener) Diagnose(key, summary, detail string) Diagnostic {
	return Diagnostic{Summary: summary, Detail: detail}
}

// Diagnose blames a key of the plugin's block, or the block if key is empty or not written.
func (p Plugin) Diagnose(key, summary, detail string) Diagnostic {
	return Diagnostic{Summary: summary, Detail: detail}
}

// Diagnose blames a key of the grant, or its block if key is empty or not written.
func (g Grant) Diagnose(key, summary, detail string) Diagnostic {
	return Diagnostic{Summary: summary, Detail: detail}
}

// Diagnose blames a key of the tenant's block, or the block if key is empty or not written.
func (t Tenant) Diagnose(key, summary, detail string) Diagnostic {
	return Diagnostic{Summary: summary, Detail: detail}
}

// Diagnose blames a key of the realm (authentication.type, for one) where it was written, which may be the top-level
// authentication block; or the realm's block if key is empty or not written.
func (r Realm) Diagnose(key, summary, detail string) Diagnostic {
	return Diagnostic{Summary: summary, Detail: detail}
}
