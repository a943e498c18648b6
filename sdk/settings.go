package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// checkSettings says what of a settings type [Decode] could not fill, or would fill with something else than its author means:
// these are the author's mistakes, and are found without any settings. A fault names the type and the field.
func checkSettings(t reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("the settings are a %v, not a struct", t)
	}
	if readsText(t) {
		return fmt.Errorf("the settings type %v reads itself from text, as does what is embedded in it perhaps: settings are a block", t)
	}
	c := settingsCheck{within: map[reflect.Type]bool{}}
	c.object(t)
	return errors.Join(c.faults...)
}

// settingsCheck goes through a type.
type settingsCheck struct {
	within map[reflect.Type]bool // what the one that is looked at is a part of
	faults []error
}

// object looks at the fields of a struct.
func (c *settingsCheck) object(t reflect.Type) {
	fault := func(field string, err error) {
		if err != nil {
			c.faults = append(c.faults, fmt.Errorf("type %v, field %s: %w", t, field, err))
		}
	}
	c.within[t] = true
	defer delete(c.within, t)
	named := map[string]string{}
	for _, sf := range reflect.VisibleFields(t) {
		tag := sf.Tag.Get("json")
		name, opt, _ := strings.Cut(tag, ",")
		if tag == "" || name == "-" {
			continue
		}
		fault(sf.Name, checkField(t, sf, name, opt))
		if other, taken := named[name]; taken {
			fault(sf.Name, fmt.Errorf("the key %q is that of the field %s, too", name, other))
		}
		named[name] = sf.Name
		err := c.value(sf.Type)
		if fallback, ok := sf.Tag.Lookup("default"); ok && err == nil {
			err = checkDefault(fallback, sf.Type)
		}
		fault(sf.Name, err)
	}
}

// checkField looks at how a field is declared.
func checkField(t reflect.Type, sf reflect.StructField, name, opt string) error {
	switch {
	case name == "":
		return errors.New("its json tag has no name")
	case !sf.IsExported():
		return errors.New("it has a json tag and is not exported")
	case opt != "" && opt != "omitempty":
		return fmt.Errorf("its json tag says %q: here only omitempty has a meaning", opt)
	case sf.Anonymous:
		return errors.New("an embedded field has no key of its own, those of its fields stand for it: leave out the json tag, or give the field a name")
	}
	for i := 1; i < len(sf.Index); i++ {
		if outer := t.FieldByIndex(sf.Index[:i]); outer.Type.Kind() == reflect.Pointer {
			return fmt.Errorf("it is embedded by the pointer %v: embed the struct itself", outer.Type)
		} else if outer.Tag.Get("json") != "" {
			return fmt.Errorf("it is embedded in %s, which has a json tag", outer.Name)
		}
	}
	return nil
}

var errBytes = errors.New("it cannot be a list of bytes: take a string or json.RawMessage")

// value looks at the type of a field, or of what a field consists of.
func (c *settingsCheck) value(t reflect.Type) error {
	switch {
	case t == rawType:
		return nil
	case t == reflect.TypeFor[time.Duration]():
		return errors.New("a time.Duration is a number of nanoseconds here: take sdk.Duration")
	case t.Kind() != reflect.Pointer && readsText(t):
		return nil
	case c.within[t]:
		return fmt.Errorf("a %v contains itself: settings have an end", t)
	}
	switch k := t.Kind(); k {
	case reflect.Bool, reflect.String:
		return nil
	case reflect.Struct:
		if t.NumField() > 0 && len(fieldsOf(t)) == 0 {
			return fmt.Errorf("no field of a %v has a json tag, so that it stays empty", t)
		}
		c.object(t)
		return nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && !readsText(t.Elem()) {
			return errBytes
		}
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("the keys of a map are strings, not %v", t.Key())
		}
	case reflect.Pointer:
	default:
		if isNumber(k) {
			return nil
		}
		return fmt.Errorf("it cannot be a %v", t)
	}
	c.within[t] = true
	defer delete(c.within, t)
	return c.value(t.Elem())
}

// checkDefault decodes a default tag once.
func checkDefault(text string, t reflect.Type) error {
	v, err := fallbackOf(text, t)
	if err == nil {
		var f faults
		err = Guard(func() error {
			f.value(v, reflect.New(t).Elem(), "")
			return errors.Join(f...)
		})
	}
	if err != nil {
		return fmt.Errorf("its default %q: %w", text, err)
	}
	return nil
}

// fallbackOf gives the text of a default tag as it would stand in JSON.
func fallbackOf(text string, t reflect.Type) (any, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch k := t.Kind(); {
	case readsText(t) || k == reflect.String:
		return text, nil
	case k == reflect.Bool && (text == "true" || text == "false"):
		return text == "true", nil
	case k == reflect.Bool:
		return nil, errors.New("true or false is wanted")
	case isNumber(k):
		var n json.Number
		if json.Unmarshal([]byte(text), &n) != nil || n.String() != text {
			return nil, errors.New("a number is wanted")
		}
		return n, nil
	}
	return nil, errors.New("only strings, booleans, numbers and what reads itself from text have one")
}

func readsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

func isSigned(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Int64 }

func isUnsigned(k reflect.Kind) bool { return k >= reflect.Uint && k <= reflect.Uint64 }

func isFloat(k reflect.Kind) bool { return k == reflect.Float32 || k == reflect.Float64 }

func isNumber(k reflect.Kind) bool { return isSigned(k) || isUnsigned(k) || isFloat(k) }
