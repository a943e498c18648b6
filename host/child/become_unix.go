//go:build unix && !linux

package child

func (fate) meet() error { return errLinuxOnly }

func bounds(Limits, *group) []limit { return nil }
