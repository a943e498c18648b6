package config

import (
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Unlimited is the limit of what is not limited.
const Unlimited = math.MaxUint64

// Limits bounds what a plugin's process may use; zero is the default.
type Limits struct {
	Memory    uint64 // bytes
	OpenFiles uint64
	Processes uint64
}

func (b *builder) plugins() []Plugin {
	var out []Plugin
	for _, n := range b.root.labelled("plugin") {
		p := Plugin{
			Name: n.label, Path: n.text("path"), Command: n.text("command"), SHA256: strings.ToLower(n.text("sha256")), Files: n.textMap("files"),
			TLS: n.enum("tls", "auto", "auto", "none"), Args: n.texts("args"), Env: n.textMap("env"), Limits: limits(n.block("limits")), Allow: b.allowances(n),
			Pos: n.at.position(), at: n.at,
		}
		p.User, p.PerRealm = users(n, out)
		switch {
		case n.has("command") && n.has("path"):
			n.fault("command", "path and command exclude each other", "A command is a runtime that is executed as it is installed; a path is a binary, or a script that begins with #!.")
		case n.has("command") && !strings.ContainsRune(p.Command, filepath.Separator):
			n.fault("command", "command must be a path", "Write /usr/bin/python3: no search path is looked at. Arguments are given as args.")
		}
		if n.has("sha256") && p.SHA256 != "" && !sha256Syntax.MatchString(p.SHA256) {
			n.fault("sha256", "sha256 is not a SHA-256 digest", "Write 64 hexadecimal digits, as sha256sum prints them.")
		}
		for path, sum := range p.Files {
			if p.Files[path] = strings.ToLower(sum); path == "" || !sha256Syntax.MatchString(sum) {
				n.fault("files", "files has a value that is not a SHA-256 digest, or an empty path", `Write { "/opt/acme/main.py" = "..." } with 64 hexadecimal digits, as sha256sum prints them.`)
				break
			}
		}
		for name := range p.Env {
			if !variableSyntax.MatchString(name) {
				n.fault("env", "env has a name that no environment variable can have", "Use letters, digits and _.")
				break
			}
		}
		out = append(out, p)
	}
	return out
}

func limits(n node) Limits {
	l := Limits{OpenFiles: uint64(n.count("open_files", 0, leastOpenFiles)), Processes: uint64(n.count("processes", 0, leastProcesses))}
	if text, ok := n.values["memory"].(string); ok {
		if l.Memory, ok = parseSize(text, leastMemory); text == "unlimited" {
			l.Memory = Unlimited
		} else if !ok {
			n.fault("memory", "memory is not a size", `Write it as "512MiB" or "2GiB", at least 16MiB, or "unlimited".`)
		}
	}
	return l
}

// What a process needs to start at all.
const (
	leastMemory    = 16 << 20
	leastOpenFiles = 16
	leastProcesses = 16
)

var sizeSyntax = regexp.MustCompile(`^([1-9][0-9]{0,5})(MiB|GiB)$`)

// parseSize reads a size of memory in binary units (IEC 80000-13) of at least least.
func parseSize(text string, least uint64) (bytes uint64, ok bool) {
	m := sizeSyntax.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if n <<= 20; m[2] == "GiB" {
		n <<= 10
	}
	return n, err == nil && n >= least
}
