package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/internal/need"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// burglar is a token broker that tries what the token says, <what>~<argument in hexadecimal digits>, and writes to the file $OUT/<realm> what came
// of it: "got", "refused", or an error that is neither.
type burglar struct{ realm string }

func (b burglar) Issue(context.Context, sdk.Grant) (sdk.Token, error) {
	return sdk.Token{}, errors.New("this broker issues nothing")
}

func (b burglar) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	what, digits, _ := strings.Cut(r.Token, "~")
	argument, err := hex.DecodeString(digits)
	if err != nil {
		return sdk.Credential{}, err
	}
	result := "got"
	switch err := attempts[what](ctx, string(argument)); {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, errNotFor):
		result = "refused"
	case err != nil:
		result = err.Error()
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("OUT"), b.realm), []byte(result), 0o600); err != nil {
		return sdk.Credential{}, err
	}
	return sdk.Credential{}, sdk.Deny("done", "done")
}

var errNotFor = errors.New("a secret is not for this realm")

var attempts = map[string]func(ctx context.Context, argument string) error{
	"tell": func(context.Context, string) error {
		return fmt.Errorf("%d %s", os.Getpid(), os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
	},
	"read":  func(_ context.Context, path string) error { _, err := os.ReadFile(path); return err },
	"write": func(_ context.Context, path string) error { return openAndClose(path, os.O_WRONLY) },
	"memory": func(_ context.Context, path string) error { // of a process
		return openAndClose(path, os.O_RDWR)
	},
	"list": func(_ context.Context, path string) error { _, err := os.ReadDir(path); return err },
	"file": func(_ context.Context, path string) error { // that a process has open
		all, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		_, err = os.Readlink(filepath.Join(path, all[0].Name()))
		return err
	},
	"connect": func(ctx context.Context, path string) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return err
		}
		return conn.Close()
	},
	"admin": askAdmin,
	"signal": func(_ context.Context, pid string) error {
		n, err := strconv.Atoi(pid)
		return errors.Join(err, syscall.Kill(n, 0))
	},
	"descriptor": func(_ context.Context, pid string) error { // taken over from a process
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		process, err := unix.PidfdOpen(n, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(process) }()
		fd, err := unix.PidfdGetfd(process, 2, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	},
	"trace": func(_ context.Context, pid string) error {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.PtraceAttach(n); err != nil {
			return err
		}
		_, err = syscall.Wait4(n, nil, syscall.WALL, nil)
		return errors.Join(err, syscall.PtraceDetach(n))
	},
	"secret": func(ctx context.Context, text string) error {
		ref, err := sdk.ParseSecretRef(text)
		if err != nil {
			return err
		}
		if _, err = ref.Value(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotFor, err)
		}
		return nil
	},
}

func openAndClose(path string, how int) error {
	f, err := os.OpenFile(path, how, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// askAdmin connects to the admin socket, which is what its mode is about, and asks, which is what the kernel's word is about.
func askAdmin(ctx context.Context, path string) error {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/v1/plugins", nil)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func burglarPlugin() {
	type settings struct {
		Key sdk.SecretRef `json:"key,omitempty"`
	}
	serve.Main("burglar", "1", sdk.TokenBrokerType("burglar", func(_ context.Context, su sdk.Setup, _ settings) (burglar, error) {
		return burglar{su.Realm}, nil
	}))
}

// burgled is a daemon with the burglar in the realms a and b. Every folder of it can be entered by everybody, so that files
// stand for themselves.
type burgled struct {
	*gate
	out string
}

const secretOfB = "urn:realmgate-secret:operator:OF_B" // the name of a reference

func burgle(t *testing.T, users string) *burgled {
	t.Helper()
	if err := child.MayBecome(); err != nil {
		need.Missing(t, "users of plugins need root: %v", err)
	}
	dir, err := os.MkdirTemp("", "burgled")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &burgled{out: filepath.Join(dir, "out")}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(b.out, 0o755), os.Chmod(b.out, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	b.gate = prepare(t, dir, fmt.Sprintf(`
plugin "burglar" {
  path = %q
  env  = { OUT = %q }
  %s
  limits {
    memory = "unlimited" # for the race detector
  }
}
secret_store "operator" {
  type      = "env"
  variables = ["OF_B"]
}
realm "a" {
  authentication {
    token_broker {
      type = "burglar"
    }
  }
}
realm "b" {
  authentication {
    token_broker {
      type = "burglar"
      key  = %q
    }
  }
}
`, testPlugin(t, "burglar"), b.out, users, secretOfB))
	b.run("OF_B=hunter2", "TMPDIR="+dir, "RUNTIME_DIRECTORY=")
	if err := os.Chmod(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

// try has the burglar of a realm try something.
func (b *burgled) try(realm, what, argument string) string {
	b.t.Helper()
	file := filepath.Join(b.out, realm)
	if err := os.RemoveAll(file); err != nil {
		b.t.Fatal(err)
	}
	if a := b.check(realm, what+"~"+hex.EncodeToString([]byte(argument))); a.reason() != "done" {
		b.t.Fatalf("%s %s: %d %s", what, argument, a.status, a.text)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// who gives the process that serves a realm, and its directory for sockets.
func (b *burgled) who(realm string) (pid int, dir string) {
	b.t.Helper()
	if _, err := fmt.Sscan(b.try(realm, "tell", ""), &pid, &dir); err != nil {
		b.t.Fatal(err)
	}
	return pid, dir
}

type attempt struct{ what, argument string }

// onProcess lists what can be tried on a process.
func onProcess(pid int) (out []attempt) {
	proc := fmt.Sprintf("/proc/%d/", pid)
	return append(out, attempt{"memory", proc + "mem"}, attempt{"read", proc + "environ"}, attempt{"read", proc + "maps"}, attempt{"file", proc + "fd"},
		attempt{"trace", strconv.Itoa(pid)}, attempt{"signal", strconv.Itoa(pid)}, attempt{"descriptor", strconv.Itoa(pid)})
}

// onDaemon lists what can be tried on the daemon: every file of its folder, too.
func (b *burgled) onDaemon() []attempt {
	b.t.Helper()
	all := append(onProcess(b.cmd.Process.Pid), attempt{"connect", filepath.Join(b.dir, "admin.sock")}, attempt{"admin", filepath.Join(b.dir, "admin.sock")})
	seen := map[string]bool{}
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(path, b.out) {
			seen[filepath.Base(path)] = true
			all = append(all, attempt{"read", path}, attempt{"write", path})
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, name := range []string{"config.hcl", "realmgate.db", "audit.log", "root-credentials.json"} {
		if !seen[name] {
			b.t.Errorf("there is no %s, but %v", name, seen)
		}
	}
	return all
}

// TestTrustedPlugin: without a user of its own a plugin gets all that the next test's does not. It says that the attempts work.
func TestTrustedPlugin(t *testing.T) {
	t.Parallel()
	b := burgle(t, "")
	for _, x := range b.onDaemon() {
		if got := b.try("a", x.what, x.argument); got != "got" {
			t.Errorf("%s %s: %s", x.what, x.argument, got)
		}
	}
	if pid, _ := b.who("a"); pid == 0 {
		t.Error("who is it?")
	} else if other, dir := b.who("b"); other != pid || b.try("a", "list", dir) != "got" || b.try("a", "connect", b.socketIn(dir)) != "got" {
		t.Error("it does not even reach its own directory")
	}
}

// socketIn finds the socket in a directory.
func (b *burgled) socketIn(dir string) string {
	b.t.Helper()
	found := ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type() == fs.ModeSocket {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		b.t.Fatalf("no socket in %s: %v", dir, err)
	}
	return found
}

// TestSeparatedPlugin: a process of a realm with a user of its own gets nothing of the daemon's, and nothing of another realm's.
func TestSeparatedPlugin(t *testing.T) {
	t.Parallel()
	b := burgle(t, "user = \"3120000000-3120000099\"\n  per_realm = true")
	pid, dir := b.who("b")
	if own, _ := b.who("a"); own == pid {
		t.Fatal("the realms share a process")
	}
	all := append(b.onDaemon(), onProcess(pid)...)
	all = append(all, attempt{"list", dir}, attempt{"connect", b.socketIn(dir)}, attempt{"list", filepath.Dir(dir)}, attempt{"secret", secretOfB})
	for _, x := range all {
		if got := b.try("a", x.what, x.argument); got != "refused" {
			t.Errorf("%s %s: %s", x.what, x.argument, got)
		}
	}
	if got := b.try("b", "secret", secretOfB); got != "got" {
		t.Errorf("its own secret: %s", got)
	}
	if now, _ := b.who("b"); now != pid {
		t.Error("the process of the other realm has ended")
	}
	if environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || bytes.Contains(environ, []byte("hunter2")) {
		t.Errorf("%q %v", environ, err)
	}
	if text := b.log.String(); strings.Contains(text, "hunter2") {
		t.Error("the log has the secret")
	}
}
