package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

type (
	cycle struct {
		Next *cycle `json:"next,omitempty"`
	}
	cycleOfLists struct {
		All []cycleOfLists `json:"all,omitempty"`
	}
	list  []list
	inner struct {
		Key string `json:"key,omitempty"`
	}
	Inner  struct{ inner }
	touchy struct{}
)

func (*touchy) UnmarshalText([]byte) error { panic("do not touch") }

// offers gives a part with settings of type S.
func offers[S any]() Implementation {
	return PrincipalMapperType("badge", func(context.Context, Setup, S) (parts, error) { return parts{}, nil })
}

func TestSettingsTypesWithFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offer func() Implementation
		want  string
	}{
		{offers[struct {
			Timeout time.Duration `json:"timeout" default:"5s"`
		}], "field Timeout: a time.Duration is a number of nanoseconds here: take sdk.Duration"},
		{offers[struct {
			Timeout *time.Duration `json:"timeout"`
		}], "take sdk.Duration"},
		{offers[cycle], "type sdk.cycle, field Next: a sdk.cycle contains itself"},
		{offers[cycleOfLists], "type sdk.cycleOfLists, field All: a sdk.cycleOfLists contains itself"},
		{offers[struct {
			L list `json:"l"`
		}], "field L: a sdk.list contains itself"},
		{offers[struct {
			In []struct {
				On bool `json:"on" default:"yes"`
			} `json:"in"`
		}], `field On: its default "yes": true or false is wanted`},
		{offers[struct {
			N int `json:"n" default:"many"`
		}], `field N: its default "many": a number is wanted`},
		{offers[struct {
			N int `json:"n" default:"+5"`
		}], `field N: its default "+5": a number is wanted`},
		{offers[struct {
			N *int8 `json:"n" default:"200"`
		}], `field N: its default "200": a whole number is wanted that fits into 8 bits`},
		{offers[struct {
			S Duration `json:"s" default:"soon"`
		}], `field S: its default "soon": "soon" is not a duration`},
		{offers[struct {
			S touchy `json:"s" default:"x"`
		}], `field S: its default "x": panic: do not touch`},
		{offers[struct {
			L []string `json:"l" default:"a"`
		}], `field L: its default "a": only strings`},
		{offers[struct {
			R json.RawMessage `json:"r" default:"5"`
		}], `field R: its default "5": only strings`},
		{offers[struct{ *inner }], "field Key: it is embedded by the pointer *sdk.inner: embed the struct itself"},
		{offers[struct {
			Inner `json:"inner"`
		}], "field Inner: an embedded field has no key of its own"},
		{offers[struct {
			inner
			Other string `json:"key"`
		}], `the key "key" is that of the field`},
		{offers[struct {
			C chan int `json:"c"`
		}], "field C: it cannot be a chan int"},
		{offers[struct {
			A any `json:"a"`
		}], "field A: it cannot be a interface {}"},
		{offers[struct {
			A [2]string `json:"a"`
		}], "field A: it cannot be a [2]string"},
		{offers[struct {
			B map[string][]byte `json:"b"`
		}], "field B: it cannot be a list of bytes"},
		{offers[struct {
			M map[int]string `json:"m"`
		}], "field M: the keys of a map are strings, not int"},
		{offers[struct {
			U url.URL `json:"u"`
		}], "field U: no field of a url.URL has a json tag"},
		{offers[struct {
			U string `json:",omitempty"`
		}], "field U: its json tag has no name"},
		{offers[struct {
			U string `json:"u,omitzero"`
		}], `field U: its json tag says "omitzero"`},
		{offers[string], "the settings are a string, not a struct"},
		{offers[*inner], "the settings are a *sdk.inner, not a struct"},
		{offers[struct{ SecretRef }], "reads itself from text"},
	} {
		i := c.offer()
		fault := i.Check()
		if fault == nil || !strings.Contains(fault.Error(), c.want) || !strings.HasPrefix(fault.Error(), `principal-mapper "badge": sdk: `) {
			t.Errorf("%v, want %q", fault, c.want)
		}
		if _, err := i.Build(t.Context(), Setup{}, []byte(`{}`)); err == nil || i.SettingsSchema() != nil {
			t.Errorf("%q: an instance is built: %v", c.want, err)
		}
	}
	// All that is wrong with a type is told at once.
	fault := offers[struct {
		A chan int `json:"a"`
		B bool     `json:"b" default:"no"`
	}]().Check()
	if s := fault.Error(); !strings.Contains(s, "field A") || !strings.Contains(s, "field B") {
		t.Error(s)
	}
	err := Guard(func() error { SchemaOf[cycle](); return nil })
	if err == nil || !strings.Contains(err.Error(), "contains itself") {
		t.Errorf("the schema of a type without an end: %v", err)
	}
}

type numbers struct {
	Inner
	Small   int8                  `json:"small" default:"-128"`
	Port    uint16                `json:"port" default:"65535"`
	Share   float64               `json:"share" default:"0.25"`
	Pointer *int                  `json:"pointer" default:"5"`
	On      *bool                 `json:"on" default:"true"`
	Name    **string              `json:"name" default:"x"`
	Wait    *Duration             `json:"wait" default:"PT1M"`
	Nets    map[string]netip.Addr `json:"nets,omitempty"`
	Twice   [2]string             // takes no part
	A, B    inner                 `json:"-"`
}

func TestNumbersAndDefaultsBehindPointers(t *testing.T) {
	t.Parallel()
	if fault := offers[numbers]().Check(); fault != nil {
		t.Fatal(fault)
	}
	var schema struct {
		Properties map[string]struct {
			Type    string
			Default any
			Minimum *int
		}
		Required []string
	}
	if err := json.Unmarshal(SchemaOf[numbers](), &schema); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		typ      string
		fallback any
	}{
		"small": {"integer", -128.0}, "port": {"integer", 65535.0}, "share": {"number", 0.25}, "pointer": {"integer", 5.0},
		"on": {"boolean", true}, "name": {"string", "x"}, "wait": {"string", "PT1M"}, "key": {"string", nil},
	} {
		if got := schema.Properties[name]; got.Type != want.typ || got.Default != want.fallback || (got.Minimum != nil) != (name == "port") {
			t.Errorf("%s: %+v, want %v", name, got, want)
		}
	}
	var n numbers
	if err := Decode([]byte(`{}`), &n); err != nil || n.Small != -128 || n.Port != 65535 || n.Share != 0.25 || *n.Pointer != 5 || !*n.On || **n.Name != "x" || n.Wait.Std() != time.Minute {
		t.Errorf("the defaults: %+v %v", n, err)
	}
	if err := Decode([]byte(`{"small":127,"port":0,"share":1e3,"pointer":7,"key":"k"}`), &n); err != nil || n.Small != 127 || n.Port != 0 || n.Share != 1000 || *n.Pointer != 7 || n.Key != "k" {
		t.Errorf("what is given: %+v %v", n, err)
	}
	for given, want := range map[string]string{
		`{"small":128}`: "/small: a whole number is wanted that fits into 8 bits", `{"small":1.5}`: "/small: a whole number is wanted",
		`{"port":-1}`: "/port: a whole number that is not negative is wanted", `{"port":65536}`: "/port: a whole number that is not negative is wanted that fits into 16 bits",
		`{"share":"1"}`: "/share: a number is wanted", `{"share":1e999}`: "/share: a number is wanted that fits into 64 bits", `{"pointer":"5"}`: "/pointer: a whole number is wanted",
	} {
		if err := Decode([]byte(given), &numbers{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", given, err, want)
		}
	}
	var none *numbers
	for _, into := range []any{none, numbers{}, nil, &cycle{}} {
		if err := Guard(func() error { return Decode([]byte(`{"next":{}}`), into) }); err == nil || errors.As(err, new(*PanicError)) {
			t.Errorf("into %T: %v", into, err)
		}
	}
}
