package connection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reading is the reading of one body: its first fault, and what was left aside.
type reading struct {
	fault   *Fault
	ignored []string
}

func (r *reading) fail(field, message string) {
	if r.fault == nil {
		r.fault = invalid(field, message)
	}
}

// object is a JSON object of a body, whose keys are taken one by one; those that are left in the end are not known. Keys
// with the value null count as missing. After a fault all values are empty.
type object struct {
	*reading
	at   string // path, with a dot at the end unless it is empty
	keys map[string]json.RawMessage
}

// maxKey bounds what of a key is repeated in an error.
const maxKey = 64

func shown(key string) string {
	if len(key) > maxKey {
		key = key[:maxKey] + "..."
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(key, "?"))
}

// readObject reads a body that consists of one JSON object.
func readObject(body []byte) *object {
	o := &object{reading: &reading{}, keys: map[string]json.RawMessage{}}
	if !utf8.Valid(body) {
		o.fail("", "the body is not UTF-8")
		return o
	}
	d := json.NewDecoder(bytes.NewReader(body))
	o.fill(d, "the body is not a JSON object")
	if _, err := d.Token(); o.fault == nil && err != io.EOF {
		o.fail("", "there is text behind the JSON object")
	}
	return o
}

// fill takes the keys of the object that d is about to read. A key that is there twice is refused: others may read the other one.
func (o *object) fill(d *json.Decoder, otherwise string) {
	field := o.path("")
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		o.fail(field, otherwise)
		return
	}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			o.fail(field, otherwise)
			return
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			o.fail(field, otherwise)
			return
		}
		if _, twice := o.keys[key]; twice {
			o.fail(o.path(key), "the key is there twice")
			return
		}
		o.keys[key] = raw
	}
	if _, err := d.Token(); err != nil {
		o.fail(field, otherwise)
	}
}

// path gives the path of a key; of the object itself without one.
func (o *object) path(key string) string {
	if key == "" {
		if o.at == "" {
			return ""
		}
		return o.at[:len(o.at)-1]
	}
	return o.at + shown(key)
}

// take gives the value of a key, once; false if there is none.
func (o *object) take(key string) (json.RawMessage, bool) {
	raw, ok := o.keys[key]
	delete(o.keys, key)
	return raw, ok && o.fault == nil && string(raw) != "null"
}

func (o *object) into(key string, v any, kind string) bool {
	raw, ok := o.take(key)
	if ok && json.Unmarshal(raw, v) != nil {
		o.fail(o.path(key), kind+" is wanted")
		return false
	}
	return ok
}

// text gives the string under a key.
func (o *object) text(key string) (s string) {
	if !o.into(key, &s, "a string") {
		return ""
	}
	return s
}

// texts gives the list of strings under a key, nil without one.
func (o *object) texts(key string) []string {
	var list []*string
	if !o.into(key, &list, "a list of strings") {
		return nil
	}
	out := make([]string, 0, len(list))
	for i, s := range list {
		if s == nil {
			o.fail(o.path(key)+"["+strconv.Itoa(i)+"]", "a string is wanted")
			return nil
		}
		out = append(out, *s)
	}
	return out
}

// flag gives the truth value under a key.
func (o *object) flag(key string) (b bool) {
	return o.into(key, &b, "true or false") && b
}

// number gives the number under a key, which must be whole and not negative.
func (o *object) number(key string) int64 {
	raw, ok := o.take(key)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 || n == math.MaxInt64 {
		o.fail(o.path(key), "a whole number is wanted")
		return 0
	}
	return n
}

// object gives the object under a key; false without one.
func (o *object) object(key string) (*object, bool) {
	raw, ok := o.take(key)
	if !ok {
		return nil, false
	}
	in := &object{reading: o.reading, at: o.path(key) + ".", keys: map[string]json.RawMessage{}}
	in.fill(json.NewDecoder(bytes.NewReader(raw)), "an object is wanted")
	return in, o.fault == nil
}

// textMap gives the object of strings under a key, nil without one.
func (o *object) textMap(key string) map[string]string {
	in, ok := o.object(key)
	if !ok {
		return nil
	}
	out := map[string]string{}
	for _, k := range in.left() {
		var s *string
		if !in.into(k, &s, "a string") || s == nil {
			o.fail(in.path(k), "a string is wanted")
			return nil
		}
		out[k] = *s
	}
	return out
}

// ignore notes that what is under a key means nothing here.
func (o *object) ignore(keys ...string) {
	for _, key := range keys {
		if _, ok := o.take(key); ok {
			o.ignored = append(o.ignored, o.path(key))
		}
	}
}

func (o *object) left() []string { return slices.Sorted(maps.Keys(o.keys)) }

// done refuses keys that nobody took.
func (o *object) done() {
	if left := o.left(); len(left) > 0 {
		o.fail(o.path(left[0]), fmt.Sprintf("there is no such key%s", here(o)))
	}
}

func here(o *object) string {
	if o.at == "" {
		return ""
	}
	return " in " + o.path("")
}
