//go:build unix && !linux

package child

// AdoptOrphans does nothing: on this system the orphans of plugins are the system's.
func AdoptOrphans() error { return nil }

func killOrphans() {}
