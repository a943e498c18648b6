//go:build unix && !linux

package catalog

func keepInherited() error { return nil }
