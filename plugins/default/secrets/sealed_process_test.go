package secrets

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

const childOf = "SEALED_CHILD_OF"

// child runs the test of that name in another process, which finds the base of its store in the environment.
func child(t *testing.T, base string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childOf+"="+base)
	return cmd
}

func settingsIn(base string) SealedSettings {
	return SealedSettings{Dir: filepath.Join(base, "secrets"), KeyFile: filepath.Join(base, "secrets.key")}
}

// Processes that write at the same time lose nothing of each other.
func TestSealedProcesses(t *testing.T) {
	const each = 20
	if base := os.Getenv(childOf); base != "" {
		s := openSealed(t, "store", settingsIn(base))
		for range each {
			fmt.Println("wrote", write(t, s, "x", "value"))
		}
		return
	}
	t.Parallel()
	base := t.TempDir()
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			out, err := child(t, base).Output()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "wrote ") {
					seen[line] = true
				}
			}
		})
	}
	wg.Wait()
	s := openSealed(t, "store", settingsIn(base))
	if v, err := s.Resolve(t.Context(), ref(t, "x")); len(seen) != 3*each || err != nil || v.Version != fmt.Sprint(3*each) {
		t.Errorf("%d versions, the last one %s, %v", len(seen), v.Version, err)
	}
}

// A process that is killed while it writes leaves the store whole: what it said it wrote is there, and no part of another.
func TestSealedKilled(t *testing.T) {
	if base := os.Getenv(childOf); base != "" {
		s := openSealed(t, "store", settingsIn(base))
		for {
			fmt.Println("wrote", write(t, s, "x", strings.Repeat("value ", 1000)))
		}
	}
	t.Parallel()
	base := t.TempDir()
	for round := range 5 {
		cmd := child(t, base)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := 0
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "wrote %d", &last); err == nil {
				if n++; n == 3+round {
					_ = cmd.Process.Kill()
				}
			}
		}
		_ = cmd.Wait() // it was killed
		s, err := NewSealed(t.Context(), sdk.Setup{Store: "store"}, settingsIn(base))
		if err != nil {
			t.Fatal(err)
		}
		wantSealed(t, s, "x", strings.Repeat("value ", 1000))
		wantSealed(t, s, fmt.Sprint("x?=version=", last), strings.Repeat("value ", 1000))
		_ = s.Close()
	}
}

// What a process left that ended between writing a file and putting it in its place is no value, and is swept away.
func TestSealedLeftovers(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	s := openSealed(t, "store", settings)
	write(t, s, "x", "value")
	raw, err := os.ReadFile(fileOf(s, "x"))
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(settings.Dir, ".ABC"+temporary)
	put(t, left, string(raw[:len(raw)/2]), 0o600)
	wantSealed(t, s, "x", "value")
	again := openSealed(t, "store", settings)
	if _, err := os.Lstat(left); err != nil {
		t.Errorf("opening a store changes it: %v", err)
	}
	write(t, again, "y", "value")
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	wantSealed(t, s, "x", "value")
}

// TestSealedFullDisk runs in a child whose files may not grow beyond a limit, so that a real write breaks off.
func TestSealedFullDisk(t *testing.T) {
	base := os.Getenv(childOf)
	if base == "" {
		t.Parallel()
		if out, err := child(t, t.TempDir()).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	s := openSealed(t, "store", settingsIn(base))
	write(t, s, "x", "value")
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1024, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.WriteSecret(t.Context(), ref(t, "x"), make([]byte, 4096)); err == nil {
		t.Errorf("version %s was written to a full disk", v)
	}
	wantSealed(t, s, "x", "value")
	if names, err := names(s.folder.root, temporary); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if v := write(t, s, "x", "room again"); v != "2" {
		t.Errorf("version %s", v)
	}
	wantSealed(t, s, "x", "room again")
}
