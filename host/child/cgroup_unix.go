//go:build unix && !linux

package child

import (
	"errors"
	"syscall"
)

// groups and group stand for what this system does not have.
type (
	groups struct{}
	group  struct{}
)

func newGroups(string) (*groups, error) { return nil, errors.New("the system has no control groups") }

func (*groups) of(string, Limits) (*group, error) { return nil, nil } //nolint:nilnil // a process without a group of its own

func (*groups) sweep(string) {}

func (*groups) close() {}

func (*group) enter(*syscall.SysProcAttr) {}

func (*group) kill() {}

func (*group) exhausted() bool { return false }

func (*group) close() {}
