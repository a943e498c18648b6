package catalog

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/redact"
)

// secretMark stands where a secret stood that an instance had resolved.
const secretMark = "[secret]"

const (
	maxConfided = 32       // secrets that are known of one instance, beside those in its settings
	maxLength   = 64 << 10 // bytes of one that is looked for; no key is longer
)

// confided are the secrets that an instance had resolved last, so that none is in what it says.
type confided struct {
	mu  sync.Mutex
	own map[sdk.SecretRef]string // those that its settings name: no other takes their place
	all []string                 // the rest, the latest last
}

// note keeps a secret; own: the settings of the instance name it.
func (c *confided) note(v sdk.Secret, ref sdk.SecretRef, own bool) {
	text := string(v.Reveal())
	if len(text) > maxLength {
		text = text[:maxLength]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if own {
		former := c.own[ref]
		if c.own == nil {
			c.own = map[sdk.SecretRef]string{}
		}
		c.own[ref] = text
		if former == "" || former == text {
			return
		}
		text = former // calls that are under way may have it
	}
	if at := slices.Index(c.all, text); at >= 0 {
		copy(c.all[at:], c.all[at+1:])
		c.all[len(c.all)-1] = text
		return
	}
	if len(c.all) == maxConfided {
		c.all = slices.Delete(c.all, 0, 1)
	}
	c.all = append(c.all, text)
}

// hide takes the secrets, and pieces of them, out of a text.
func (c *confided) hide(text string) string {
	if text == "" {
		return ""
	}
	c.mu.Lock()
	all := slices.AppendSeq(slices.Clone(c.all), maps.Values(c.own))
	c.mu.Unlock()
	var parts []string
	for _, s := range all {
		parts = append(parts, redact.Parts(strings.TrimSpace(s))...)
	}
	return redact.Hide(text, secretMark, parts...)
}

// Hide takes out of a text what the instance had resolved of secrets; nothing for the zero Handle.
func (h Handle) Hide(text string) string {
	if h.inst == nil {
		return text
	}
	return h.inst.confided.hide(text)
}

// hide takes out of a text what the instances of the way had resolved of secrets.
func (w *way) hide(text string) string {
	for _, i := range w.all {
		text = i.confided.hide(text)
	}
	return text
}
