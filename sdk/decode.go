package sdk

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode fills the struct that into points to from a JSON object, strictly: an unknown key, a missing one and a value of
// the wrong kind are faults. All faults come at once, each a [Problem] with its place.
//
// A field takes part if it has a json tag. It is required unless the tag says omitempty or the field has a default tag,
// whose text is the value of a missing key. A doc tag describes it in the schema. Fields may be strings, booleans, numbers,
// structs, slices, maps with string keys, json.RawMessage, pointers to these, and types that implement
// encoding.TextUnmarshaler, such as [SecretRef], [Duration] and [ClaimPath]. Embedded structs are flattened. Anything else, a
// default tag that does not fit its field, and a time.Duration are faults of the type, which [Implementation.Check] finds, too.
//
// A configuration block arrives as a list; a struct field takes a list of one.
func Decode(raw []byte, into any) error {
	to := reflect.ValueOf(into)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return fmt.Errorf("sdk: settings are decoded into a pointer to a struct, not a %T", into)
	}
	if err := checkSettings(to.Type().Elem()); err != nil {
		return fmt.Errorf("sdk: %w", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("the settings are not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the settings have text behind the JSON object")
	}
	var f faults
	f.value(v, to.Elem(), "")
	return errors.Join(f...)
}

type faults []error

func (f *faults) add(at, format string, args ...any) {
	*f = append(*f, &Problem{Path: at, Summary: fmt.Sprintf(format, args...)})
}

var (
	secretRefType = reflect.TypeFor[SecretRef]()
	rawType       = reflect.TypeFor[json.RawMessage]()
	textType      = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (f *faults) value(v any, to reflect.Value, at string) {
	switch {
	case to.Type() == rawType:
		b, _ := json.Marshal(v) // v came out of encoding/json
		to.SetBytes(b)
		return
	case to.Kind() == reflect.Pointer:
		p := reflect.New(to.Type().Elem())
		f.value(v, p.Elem(), at)
		to.Set(p)
		return
	case to.CanAddr() && to.Addr().Type().Implements(textType):
		f.text(v, to, at)
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		f.object(v, to, at)
	case reflect.Slice:
		l, ok := v.([]any)
		if !ok {
			f.add(at, "a list is wanted")
			return
		}
		s := reflect.MakeSlice(to.Type(), len(l), len(l))
		for i, x := range l {
			f.value(x, s.Index(i), at+pointer([]any{i}))
		}
		to.Set(s)
	case reflect.Map:
		m, ok := v.(map[string]any)
		if !ok {
			f.add(at, "a map is wanted")
			return
		}
		out := reflect.MakeMapWithSize(to.Type(), len(m))
		for _, k := range sortedKeys(m) {
			e := reflect.New(to.Type().Elem()).Elem()
			f.value(m[k], e, at+pointer([]any{k}))
			out.SetMapIndex(reflect.ValueOf(k).Convert(to.Type().Key()), e)
		}
		to.Set(out)
	case reflect.String:
		if s, ok := v.(string); ok {
			to.SetString(s)
		} else {
			f.add(at, "a string is wanted")
		}
	case reflect.Bool:
		if b, ok := v.(bool); ok {
			to.SetBool(b)
		} else {
			f.add(at, "true or false is wanted")
		}
	default:
		f.number(v, to, at)
	}
}

func (f *faults) number(v any, to reflect.Value, at string) {
	n, ok := v.(json.Number)
	text, bits := string(n), to.Type().Bits()
	var err error
	switch k := to.Kind(); {
	case isFloat(k):
		var x float64
		if x, err = strconv.ParseFloat(text, bits); !ok || err != nil {
			f.add(at, "a number is wanted%s", bounds(ok, err, to.Type()))
			return
		}
		to.SetFloat(x)
	case isUnsigned(k):
		var x uint64
		if x, err = strconv.ParseUint(text, 10, bits); !ok || err != nil {
			f.add(at, "a whole number that is not negative is wanted%s", bounds(ok, err, to.Type()))
			return
		}
		to.SetUint(x)
	default:
		var x int64
		if x, err = strconv.ParseInt(text, 10, bits); !ok || err != nil {
			f.add(at, "a whole number is wanted%s", bounds(ok, err, to.Type()))
			return
		}
		to.SetInt(x)
	}
}

// bounds says more of a number that does not fit.
func bounds(isNumber bool, err error, t reflect.Type) string {
	if isNumber && errors.Is(err, strconv.ErrRange) {
		return fmt.Sprintf(" that fits into %d bits", t.Bits())
	}
	return ""
}

func (f *faults) text(v any, to reflect.Value, at string) {
	s, ok := v.(string)
	if !ok {
		*f = append(*f, &Problem{Path: at, Summary: "a string is wanted", Sensitive: to.Type() == secretRefType})
		return
	}
	if err := to.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		*f = append(*f, &Problem{Path: at, Summary: err.Error(), Sensitive: to.Type() == secretRefType})
	}
}

func (f *faults) object(v any, to reflect.Value, at string) {
	if l, ok := v.([]any); ok {
		if len(l) != 1 {
			f.add(at, "one block is wanted, there are %d", len(l))
			return
		}
		v, at = l[0], at+"/0"
	}
	m, ok := v.(map[string]any)
	if !ok {
		f.add(at, "a block is wanted")
		return
	}
	fields := fieldsOf(to.Type())
	names := make([]string, 0, len(fields))
	for _, fd := range fields {
		names = append(names, fd.name)
		here := at + pointer([]any{fd.name})
		x, present := m[fd.name]
		switch {
		case present && x != nil:
			f.value(x, to.FieldByIndex(fd.index), here)
		case fd.hasDefault:
			f.fallback(fd.fallback, to.FieldByIndex(fd.index), here)
		case fd.required:
			f.add(here, "the key %q is required", fd.name)
		}
	}
	for _, k := range sortedKeys(m) {
		if !slices.Contains(names, k) {
			f.add(at+pointer([]any{k}), "there is no key %q here%s", k, suggest(k, names))
		}
	}
}

// fallback sets the text of a default tag, see [fallbackOf].
func (f *faults) fallback(text string, to reflect.Value, at string) {
	v, err := fallbackOf(text, to.Type())
	if err != nil {
		f.add(at, "%v", err)
		return
	}
	f.value(v, to, at)
}

type field struct {
	name, fallback, doc  string
	index                []int
	required, hasDefault bool
	typ                  reflect.Type
}

func fieldsOf(t reflect.Type) []field {
	var out []field
	for _, sf := range reflect.VisibleFields(t) {
		name, opt, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "" || name == "-" || !sf.IsExported() {
			continue
		}
		fd := field{name: name, index: sf.Index, doc: sf.Tag.Get("doc"), typ: sf.Type}
		fd.fallback, fd.hasDefault = sf.Tag.Lookup("default")
		fd.required = opt != "omitempty" && !fd.hasDefault
		out = append(out, fd)
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// suggest names the known key that is nearest to a mistaken one, if any is near.
func suggest(key string, names []string) string {
	best, at := 3, ""
	for _, n := range names {
		if d := distance(key, n); d < best {
			best, at = d, n
		}
	}
	if at == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", at)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(diag+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
