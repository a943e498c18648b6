package config

import (
	"fmt"
	"slices"
	"strings"
)

// Restart gives what a running daemon cannot take over, as faults at the places of the keys: its listeners but for their
// certificates, the admin socket, the directory, the audit log and the format of its own.
func Restart(before, after *Config) Diagnostics {
	var out Diagnostics
	fault := func(d Diagnostic) {
		d.Detail = "Restart the daemon to take it, or undo the change to reload the rest."
		out = append(out, d)
	}
	for _, x := range []struct {
		key     string
		changed bool
	}{
		{"admin.socket", before.Admin != after.Admin},
		{"metrics.address", before.Metrics != after.Metrics},
		{"directory.type", before.Directory.Type != after.Directory.Type},
		{"directory.path", before.Directory.Path != after.Directory.Path},
		{"log.format", before.Log.Format != after.Log.Format},
	} {
		if x.changed {
			fault(after.Diagnose(x.key, x.key+" cannot be changed while the daemon runs", ""))
		}
	}
	for _, key := range auditChanges(before.Audit, after.Audit) {
		fault(after.Diagnose("audit."+key, "audit."+key+" cannot be changed while the daemon runs", ""))
	}
	old := map[string]Listener{}
	for _, l := range before.Listeners {
		old[l.Name] = l
	}
	for _, l := range after.Listeners {
		was, ok := old[l.Name]
		delete(old, l.Name)
		if !ok {
			fault(l.Diagnose("", fmt.Sprintf("listener %q cannot be opened while the daemon runs", l.Name), ""))
			continue
		}
		for _, key := range was.changes(l) {
			fault(l.Diagnose(key, fmt.Sprintf("%s of listener %q cannot be changed while the daemon runs", key, l.Name), ""))
		}
	}
	for _, l := range before.Listeners {
		if _, gone := old[l.Name]; gone {
			fault(l.Diagnose("", fmt.Sprintf("listener %q cannot be closed while the daemon runs", l.Name), ""))
		}
	}
	return out.Sort()
}

// changes gives the keys of a listener that differ, but for what its certificates are.
func (l Listener) changes(now Listener) []string {
	return changed(map[string]bool{
		"address": l.Address != now.Address, "realm_header": !strings.EqualFold(l.RealmHeader, now.RealmHeader), "forwarded": l.Forwarded != now.Forwarded,
		"trusted_proxies": !slices.Equal(l.TrustedProxies, now.TrustedProxies), "tls": (l.TLS == nil) != (now.TLS == nil),
	})
}

func auditChanges(old, now Audit) []string {
	return changed(map[string]bool{
		"path": old.Path != now.Path, "on_failure": old.Refuse != now.Refuse, "decisions": old.Decisions != now.Decisions, "compress": old.Compress != now.Compress,
		"max_size_mb": old.MaxSizeMB != now.MaxSizeMB, "max_backups": old.MaxBackups != now.MaxBackups, "max_age_days": old.MaxAgeDays != now.MaxAgeDays,
	})
}

// changed gives the keys that are true, sorted.
func changed(keys map[string]bool) []string {
	var out []string
	for key, yes := range keys {
		if yes {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
