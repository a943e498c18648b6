package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// node is a block of the merged layers while it is read: its values, their places, and where faults go.
type node struct {
	values  map[string]any
	at      *trace
	written bool   // false if no layer has the block
	name    string // for messages: realm "a"
	label   string // a
	diags   *Diagnostics
}

// block gives an inner block. One that was not written is empty and stands where the outer one does.
func (n node) block(name string) node {
	inner := node{values: group(n.values, name), name: name, diags: n.diags}
	inner.written = inner.values != nil
	inner.at = n.placed(n.at.child(name))
	return inner
}

// alone gives the node without where faults go, which has the whole loader with it: for what is kept.
func (n node) alone() node {
	n.diags = &Diagnostics{}
	return n
}

// placed gives the trace of something inside the node a place, if it has none of its own.
func (n node) placed(t *trace) *trace {
	if t == nil {
		t = &trace{}
	}
	if t.src == nil {
		t = &trace{src: n.at.src, line: n.at.line, column: n.at.column, children: t.children}
	}
	return t
}

// labelled gives the blocks of a kind, sorted by their labels.
func (n node) labelled(kind string) []node {
	all := group(n.values, kind)
	out := make([]node, 0, len(all))
	for _, label := range slices.Sorted(maps.Keys(all)) {
		out = append(out, node{
			values: group(all, label), at: n.placed(n.at.child(kind).child(label)), written: true,
			name: title(kind, label), label: label, diags: n.diags,
		})
	}
	return out
}

// repeated gives the blocks of a kind in their order.
func (n node) repeated(kind string) []node {
	items, _ := n.values[kind].([]any)
	out := make([]node, 0, len(items))
	for i, item := range items {
		values, _ := item.(map[string]any)
		out = append(out, node{
			values: values, at: n.placed(n.at.child(kind).child(fmt.Sprint(i))), written: true, name: kind, diags: n.diags,
		})
	}
	return out
}

// has says whether a key was written, also if its value was refused.
func (n node) has(key string) bool {
	_, ok := n.values[key]
	return ok || n.at.child(key) != nil
}

func (n node) text(key string) string {
	s, _ := n.values[key].(string)
	return s
}

func (n node) textOr(key, otherwise string) string {
	if s, ok := n.values[key].(string); ok {
		return s
	}
	return otherwise
}

func (n node) texts(key string) []string {
	items, _ := n.values[key].([]any)
	out := make([]string, 0, len(items))
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func (n node) textMap(key string) map[string]string {
	items, ok := n.values[key].(map[string]any)
	if !ok {
		return nil
	}
	out := make(map[string]string, len(items))
	for k, item := range items {
		if s, ok := item.(string); ok {
			out[k] = s
		}
	}
	return out
}

// fault blames a key, or the block if key is empty or not written. Values stay hidden.
func (n node) fault(key, summary, detail string) { n.report(key, summary, detail, false, showKey) }

// faultShown is fault for a value that is surely no secret: the line is shown as it stands.
func (n node) faultShown(key, summary, detail string) {
	n.report(key, summary, detail, false, showLine)
}

func (n node) warn(key, summary, detail string) { n.report(key, summary, detail, true, showKey) }

func (n node) report(key, summary, detail string, warning bool, how show) {
	d := n.at.find(keyPath(key)).diagnose(summary, detail, how)
	d.Warning = warning
	*n.diags = append(*n.diags, d)
}

func keyPath(key string) []string {
	if key == "" {
		return nil
	}
	return []string{key}
}

// faultItem blames an item of a list.
func (n node) faultItem(key string, index int, summary, detail string) {
	*n.diags = append(*n.diags, n.at.find([]string{key, fmt.Sprint(index)}).diagnose(summary, detail, showKey))
}

// need reports a key that must be there and is not, and gives its value.
func (n node) need(key string) string {
	if !n.has(key) {
		n.fault("", fmt.Sprintf("%s needs the key %q", n.name, key), "")
		return ""
	}
	s, ok := n.values[key].(string)
	if ok && s == "" {
		n.fault(key, fmt.Sprintf("%s must not be empty", key), "")
	}
	return s
}

// enum reads a key that takes one of a few words.
func (n node) enum(key, otherwise string, words ...string) string {
	value := n.textOr(key, otherwise)
	if slices.Contains(words, value) {
		return value
	}
	n.faultNamed(key, fmt.Sprintf("%s must be one of: %s", key, list(words)), value, words)
	return otherwise
}

// faultNamed blames a value that should have been one of the known names. A value that is nearly one of them is no
// secret, so its line is shown.
func (n node) faultNamed(key, summary, value string, known []string) {
	if Suggest(value, known) != "" {
		n.faultShown(key, summary, meant(value, known))
		return
	}
	n.fault(key, summary, "")
}

func (n node) boolean(key string) bool {
	b, _ := n.values[key].(bool)
	return b
}

// number reads a number that is zero or more.
func (n node) number(key string, otherwise float64) float64 {
	text, ok := n.values[key].(json.Number)
	if !ok {
		return otherwise
	}
	f, err := text.Float64()
	if err != nil || f < 0 || f > maxNumber {
		n.fault(key, fmt.Sprintf("%s must be a number from 0 to %d", key, maxNumber), "")
		return otherwise
	}
	return f
}

// count reads a whole number of at least least.
func (n node) count(key string, otherwise, least int) int {
	text, ok := n.values[key].(json.Number)
	if !ok {
		return otherwise
	}
	i, err := strconv.Atoi(text.String())
	if err != nil || i < least || i > maxNumber {
		n.fault(key, fmt.Sprintf("%s must be a whole number from %d to %d", key, least, maxNumber), "")
		return otherwise
	}
	return i
}

// maxNumber bounds the numbers of the host's keys.
const maxNumber = 1_000_000

func (n node) duration(key string, otherwise time.Duration, least time.Duration) time.Duration {
	value, ok := n.values[key].(string)
	if !ok {
		return otherwise
	}
	d, err := parseDuration(value)
	if err == nil && d < least {
		err = fmt.Errorf("it must be at least %s", least)
	}
	if err != nil {
		n.fault(key, fmt.Sprintf("%s is not a duration that can be used", key), sentence(err))
		return otherwise
	}
	return d
}

// leastCache is the least that a cache may have, in bytes.
const leastCache = 1 << 20

// size reads a size of memory of at least least, in bytes.
func (n node) size(key string, otherwise, least uint64) uint64 {
	text, ok := n.values[key].(string)
	if !ok {
		return otherwise
	}
	size, ok := parseSize(text, least)
	if !ok {
		n.fault(key, key+" is not a size", fmt.Sprintf(`Write it as "64MiB" or "2GiB", at least %dMiB.`, least>>20))
		return otherwise
	}
	return size
}
