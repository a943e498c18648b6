package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
)

// becomeName is what a process is called that limits itself and then becomes a plugin's. The system lets a daemon that has not
// every privilege limit no process of another user; but every process may limit itself.
const becomeName = "realmgate-become"

// fate is what such a process becomes.
type fate struct {
	Path   string // empty: what is open as the first file after standard error
	Args   []string
	Limits []limit
}

// limit bounds one resource, by its number in setrlimit(2).
type limit struct {
	Resource int
	Most     uint64
}

// canBecome says that Main was called: another program would not become a plugin.
var canBecome atomic.Bool

// Main is what a program calls before anything else that starts plugins as other users: such a process begins as the program
// itself. It does not return in one.
func Main() {
	canBecome.Store(true)
	if len(os.Args) != 2 || os.Args[0] != becomeName {
		return
	}
	var f fate
	err := json.Unmarshal([]byte(os.Args[1]), &f)
	if err == nil {
		err = f.meet()
	}
	_, _ = fmt.Fprintln(os.Stderr, "the plugin cannot be executed:", err)
	os.Exit(1)
}

// foretell has cmd start the host's program as the child's user, to become what cmd was to execute. What it returns is closed
// when cmd has started.
func (c *child) foretell(cmd *exec.Cmd, path string) (*os.File, error) {
	if !canBecome.Load() {
		return nil, errors.New("the program does not call child.Main")
	}
	f := fate{Path: path, Args: cmd.Args, Limits: bounds(c.limits(), c.group)}
	var open *os.File
	if c.image.copy != nil { // the image is in use
		var err error
		if open, err = os.Open(path); err != nil {
			return nil, err
		}
		f.Path, cmd.ExtraFiles = "", []*os.File{open}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return open, err
	}
	cmd.Path, cmd.Args = "/proc/self/exe", []string{becomeName, string(text)}
	return open, nil
}
