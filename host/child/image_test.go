package child

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func sumOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// TestSealed: what was hashed is what runs, whatever becomes of the file.
func TestSealed(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(path string) error{
		"written": func(path string) error { return os.WriteFile(path, []byte("#!/bin/false\n"), 0o755) },
		"replaced": func(path string) error {
			_ = os.Remove(path)
			return os.WriteFile(path, []byte("#!/bin/false\n"), 0o755)
		},
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNursery(t)
			s := program(t, "good")
			s.Path = copyOf(t, s.Path)
			sum := sumOf(t, s.Path)
			s.SHA256 = strings.ToUpper(sum)
			i := load(t, s)
			if i.Digest() != sum {
				t.Errorf("%s, want %s", i.Digest(), sum)
			}
			if err := replace(s.Path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				p := n.start(t, i)
				answers(t, p)
				p.Stop(StopGrace, nil)
			}
			if _, err := Load(s); err == nil {
				t.Error("what stands in its place was loaded")
			}
		})
	}
}

// TestSealedFile is how a binary is kept where memory cannot be executed.
func TestSealedFile(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	s := program(t, "good")
	f, err := os.Open(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	kept, err := sealFile(f, sum, false)
	if err != nil {
		t.Fatal(err)
	}
	i := &Image{program: s, budget: newBudget(), digest: hexSum(sum), open: true, copy: kept}
	defer i.Close()
	if i.Digest() != sumOf(t, kept.path) || i.Digest() != sumOf(t, s.Path) {
		t.Error("the copy is another one")
	}
	for path, want := range map[string]os.FileMode{kept.path: 0o500, filepath.Dir(kept.path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode(), want)
		}
	}
	p := n.start(t, i)
	answers(t, p)
	p.Stop(StopGrace, nil)
	i.Close()
	if _, err := os.Stat(filepath.Dir(kept.path)); !os.IsNotExist(err) {
		t.Errorf("the copy is left: %v", err)
	}
	if _, err := n.try(t, i); err == nil {
		t.Error("a closed image was started")
	}
}

// script writes a script that runs the test binary as a plugin.
func script(t testing.TB, self, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\nexec "+self+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScript(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	s := program(t, "good")
	s.Path = script(t, s.Path, "")
	s.SHA256 = sumOf(t, s.Path)
	i := load(t, s)
	if i.Digest() != s.SHA256 {
		t.Error(i.Digest())
	}
	answers(t, n.start(t, i))
	if err := os.WriteFile(s.Path, []byte("#!/bin/sh\nexec /bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := n.try(t, i)
	refusal(t, err, ReasonChecksum, "the SHA-256 checksum is")
	s.SHA256 = ""
	i = load(t, s)
	if err := os.WriteFile(s.Path, []byte("#!/bin/sh\nexec /bin/true\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = n.try(t, i)
	refusal(t, err, ReasonChecksum, "was changed on disk since it was loaded")
}

// TestCommand: a runtime is run by its path, and what it reads is checked by digest.
func TestCommand(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	s := program(t, "good")
	file := script(t, s.Path, "")
	s.Path, s.Command, s.Args, s.Files = "/bin/sh", true, []string{file}, map[string]string{file: sumOf(t, file)}
	i := load(t, s)
	p := n.start(t, i)
	answers(t, p)

	for name, change := range map[string]func(*Program){
		"args":    func(s *Program) { s.Args = append(s.Args, "-x") },
		"command": func(s *Program) { s.Path = "/bin/cat" },
		"files":   func(s *Program) { s.Files = nil },
	} {
		other := s
		change(&other)
		if load(t, other).Digest() == i.Digest() {
			t.Errorf("another %s has the same digest", name)
		}
	}
	again := s
	again.Files = map[string]string{file: strings.ToUpper(s.Files[file])}
	if load(t, again).Digest() != i.Digest() {
		t.Error("the digest is not stable")
	}

	if err := os.WriteFile(file, []byte("exec /bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := n.try(t, i)
	refusal(t, err, ReasonChecksum, "the file "+file+": the SHA-256 checksum is "+sumOf(t, file)+", but "+s.Files[file]+" is pinned")
	for want, files := range map[string]map[string]string{
		"the file " + file + ": sha256 is not a SHA-256 checksum":                      {file: "abc"},
		"the file " + file + "x cannot be read: no such file or directory":             {file + "x": s.Files[file]},
		"the file " + filepath.Dir(file) + " cannot be read: it is not a regular file": {filepath.Dir(file): s.Files[file]},
	} {
		s.Files = files
		if _, err := Load(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestPipeIsNoProgram: a pipe that nobody writes to must not block.
func TestPipeIsNoProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Program{Path: path})
	refusal(t, err, ReasonDirectory, "is not a regular file")
}
