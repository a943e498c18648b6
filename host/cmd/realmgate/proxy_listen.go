package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/realmgate/realmgate/host/proxy"
	"github.com/realmgate/realmgate/host/socket"
	"github.com/realmgate/realmgate/sdk"
)

// proxyDoors are the listeners of a proxy, with what is told about each.
type proxyDoors struct {
	doors  []proxy.Door
	health net.Listener
	where  [][]any  // of each door, for the log
	places []string // where its token is; empty: it needs none
}

// check checks what the command line says of the listeners.
func (p proxyCmd) check() error {
	for _, text := range p.Connection {
		name, at, _ := strings.Cut(text, "=")
		if name == "" {
			return wrongUsage("--connection %s: write NAME or NAME=LISTEN", text)
		}
		if at == "" || strings.Contains(at, "/") {
			continue
		}
		if err := loopback(at); err != nil {
			return wrongUsage("--connection %s: %w", text, err)
		}
	}
	return nil
}

// open opens all listeners. On an error none is left open.
func (p proxyCmd) open(ctx context.Context, px *proxy.Proxy) (d *proxyDoors, err error) {
	d = &proxyDoors{}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	for _, text := range p.Connection {
		name, at, _ := strings.Cut(text, "=")
		if err := px.Check(ctx, name); err != nil {
			return d, fmt.Errorf("--connection %s: %w", name, err)
		}
		if err := p.door(d, name, at); err != nil {
			return d, fmt.Errorf("--connection %s: %w", text, err)
		}
	}
	if p.Health != "" {
		if d.health, err = listenAt(p.Health); err != nil {
			return d, fmt.Errorf("--health %s: %w", p.Health, err)
		}
	}
	return d, nil
}

func (d *proxyDoors) close() {
	for _, x := range d.doors {
		_ = x.Listener.Close()
	}
	if d.health != nil {
		_ = d.health.Close()
	}
}

func (p proxyCmd) door(d *proxyDoors, name, at string) error {
	if at == "" {
		at = filepath.Join(p.Dir, name+".sock")
	}
	door, place := proxy.Door{Connection: name}, ""
	var err error
	if !strings.Contains(at, "/") {
		if door.Token, place, err = p.token(); err != nil {
			return err
		}
	}
	if door.Listener, err = listenAt(at); err != nil {
		return err
	}
	d.doors = append(d.doors, door)
	if place != "" {
		at = door.Listener.Addr().String() // the port may have been left to the system
	}
	d.where, d.places = append(d.where, []any{"connection", name, "at", at}), append(d.places, place)
	return nil
}

// listenAt listens on a socket, if there is a slash in the text, or on an address.
func listenAt(at string) (net.Listener, error) {
	if strings.Contains(at, "/") {
		return socket.Listen(at)
	}
	return net.Listen("tcp", at)
}

// loopback refuses an address that other machines reach: what goes there is not encrypted.
func loopback(at string) error {
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return errors.New("is neither the path of a socket (with a slash in it) nor host:port")
	}
	if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.IsLoopback()) {
		return errors.New("other machines can reach it; only a socket or a loopback address is possible, e.g. 127.0.0.1:8080")
	}
	return nil
}

// minProxyToken is the length of the shortest token, in bytes.
const minProxyToken = 16

// token gives the token of loopback addresses, and where it is. If no file is named, one is made where it is missing; the
// token is shown nowhere else.
func (p proxyCmd) token() (sdk.Secret, string, error) {
	path := p.ListenTokenFile
	if path == "" {
		path = filepath.Join(p.Dir, "token")
		if err := newToken(path); err != nil {
			return sdk.Secret{}, "", fmt.Errorf("make a token: %w", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return sdk.Secret{}, "", fmt.Errorf("the token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return sdk.Secret{}, "", fmt.Errorf("the token: others can read %s: chmod 600 it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return sdk.Secret{}, "", fmt.Errorf("the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minProxyToken || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' || c == '/' || c == ',' }) {
		return sdk.Secret{}, "", fmt.Errorf("the token in %s has less than %d characters, or others than those of ASCII that can be seen, without / and comma", path, minProxyToken)
	}
	return sdk.NewSecret([]byte(token)), path, nil
}

// newToken writes a random token unless the file is there.
func newToken(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, werr := f.WriteString(rand.Text() + "\n")
	return errors.Join(werr, f.Close())
}
