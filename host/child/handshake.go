package child

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin"

	"github.com/realmgate/realmgate/sdk/serve"
)

// minCertificate is the length from which go-plugin takes the sixth field of a handshake for a certificate.
const minCertificate = 51

// addressField is where in a handshake the address is.
const addressField = 3

// checkHandshake checks the first line that a process printed, CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE, and gives it
// in the form that go-plugin may see: a certificate that was not asked for would make it panic. dir is where the process is
// to have its socket: the host connects to no other, whoever listens there. other says that it has a user of its own.
func checkHandshake(line string, tls, other bool, dir string) (string, *Refusal) {
	bad := func(r Reason, format string, args ...any) (string, *Refusal) {
		return "", &Refusal{Reason: r, Detail: fmt.Sprintf(format, args...)}
	}
	f := strings.Split(strings.TrimSpace(line), "|")
	if len(f) < 4 {
		return bad(ReasonHandshake, "is not a plugin: it printed %q where the handshake is due", Safe(line, maxTail))
	}
	core, err := strconv.Atoi(f[0])
	if err != nil {
		return bad(ReasonHandshake, "is not a plugin: it printed %q where the handshake is due", Safe(line, maxTail))
	}
	if core != plugin.CoreProtocolVersion {
		return bad(ReasonProtocol, "speaks version %d of go-plugin's handshake, the host speaks %d", core, plugin.CoreProtocolVersion)
	}
	if app, err := strconv.ParseUint(f[1], 10, 31); err != nil || app != uint64(serve.Handshake.ProtocolVersion) {
		return bad(ReasonProtocol, "speaks version %s of the plugin contract, the host speaks %d", Printable(f[1], 16), serve.Handshake.ProtocolVersion)
	}
	if len(f) < 5 || f[4] != string(plugin.ProtocolGRPC) {
		return bad(ReasonProtocol, "does not speak gRPC")
	}
	if other && f[2] != "unix" {
		return bad(ReasonHandshake, "listens on %s %q: a plugin with a user of its own must listen on a unix socket, where nobody else can call it", Printable(f[2], 16), Printable(f[3], 256))
	}
	if fault := unfit(f[2], f[3], dir); fault != "" {
		return bad(ReasonHandshake, "listens on %s %q, which is %s", Printable(f[2], 16), Printable(f[3], 256), fault)
	}
	certificate := ""
	if len(f) > 5 {
		certificate = f[5]
	}
	switch {
	case tls && len(certificate) < minCertificate:
		return bad(ReasonHandshake, `sent no certificate; a plugin that cannot do mutual TLS needs tls = "none"`)
	case !tls:
		certificate = ""
	}
	return strings.Join([]string{f[0], f[1], f[2], f[3], f[4], certificate}, "|"), nil
}

// unfit says what is wrong with an address that a process gives as its own.
func unfit(network, address, dir string) string {
	switch network {
	case "unix":
		if !filepath.IsAbs(address) || !sameDir(filepath.Dir(address), dir) {
			return "not in its directory for sockets (" + plugin.EnvUnixSocketDir + ")"
		}
		if info, err := os.Lstat(address); err != nil || info.Mode().Type() != fs.ModeSocket {
			return "not a socket"
		}
		return ""
	case "tcp":
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsLoopback() {
			return ""
		}
	}
	return "not a local address"
}

// sameDir compares what paths lead to: a process may have resolved a symbolic link in the one that it was given.
func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
