package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what is written to slave can be read from the other end.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there is no pseudo-terminal:", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n, failed := 0, error(nil)
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

// An audit log on the standard output is lines and nothing else, also where that is a terminal and the daemon starts for the
// first time. Without such a log the terminal is shown the credentials.
func TestFirstStartOnATerminal(t *testing.T) {
	t.Parallel()
	for _, log := range []string{"stdout", "audit.log"} {
		t.Run(log, func(t *testing.T) {
			d := prepare(t, t.TempDir(), "realm \"demo\" {}\naudit {\n  path = \""+log+"\"\n}\n")
			master, slave := terminal(t)
			cmd := exec.Command("realmgate", "serve")
			cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = d.dir, slave, d.log, os.Environ()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			d.cmd = cmd
			go func() { d.done <- cmd.Wait() }()
			d.awaitReady()
			d.readRoot()
			_, err := os.Stat(filepath.Join(d.dir, "data", "root-credentials.json"))
			kept := err == nil
			if log == "stdout" {
				d.rootToken("demo")
			}
			if err := d.stop(); err != nil {
				t.Error(err)
			}
			_ = slave.Close() // the last one: reading the other end comes to its end
			var got []string
			for in := bufio.NewScanner(master); in.Scan(); {
				got = append(got, in.Text())
			}
			text := strings.Join(got, "\n")
			if shown := strings.Contains(text, "client secret"); shown == kept || shown == (log == "stdout") {
				t.Errorf("shown %v, kept %v\n%s", shown, kept, text)
			}
			if log != "stdout" {
				return
			}
			for _, line := range got {
				if !json.Valid([]byte(line)) {
					t.Errorf("not a line of the audit log: %q", line)
				}
			}
			if !strings.Contains(text, "token.issue") {
				t.Errorf("no line of a token:\n%s", text)
			}
		})
	}
}
