//go:build unix && !linux

package child

func keepInherited() error { return nil }
