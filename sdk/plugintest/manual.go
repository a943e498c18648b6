package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/realmgate/realmgate/sdk"
)

// Manual gives the reference of a plugin's parts in Markdown: by kind and type, what about says of each ("kind/type"), and a
// table of the settings, made of their own schemas, so that it cannot leave out or misname a key. A part that about does not
// mention and a setting without a doc tag are errors.
func Manual(about map[string]string, impls ...sdk.Implementation) ([]byte, error) {
	var out bytes.Buffer
	var faults []error
	kind := sdk.Kind(0)
	for _, i := range impls {
		if i.Kind() != kind {
			kind = i.Kind()
			fmt.Fprintf(&out, "\n## %s\n", kind)
		}
		text, ok := about[kind.String()+"/"+i.Type()]
		if !ok {
			faults = append(faults, fmt.Errorf("%v %s is not described", kind, i.Type()))
		}
		fmt.Fprintf(&out, "\n### `%s`\n\n%s\n", i.Type(), text)
		var s schema
		if err := json.Unmarshal(i.SettingsSchema(), &s); err != nil {
			faults = append(faults, err)
			continue
		}
		if len(s.Properties) == 0 {
			out.WriteString("\nIt has no settings.\n")
			continue
		}
		out.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
		if err := s.rows(&out, ""); err != nil {
			faults = append(faults, fmt.Errorf("%v %s: %w", kind, i.Type(), err))
		}
	}
	return out.Bytes(), errors.Join(faults...)
}

// ManualPage is the reference page of a plugin's parts: a file with a text at its head and what [Manual] gives.
type ManualPage struct {
	File  string // relative to the test
	Head  string
	About map[string]string // see Manual
}

// Check says whether the file is what the parts' schemas make of it; with update it is written before.
func (p ManualPage) Check(update bool, impls ...sdk.Implementation) error {
	tables, err := Manual(p.About, impls...)
	if err != nil {
		return err
	}
	want := append([]byte(p.Head), tables...)
	if update {
		if err := os.WriteFile(p.File, want, 0o644); err != nil {
			return err
		}
	}
	have, err := os.ReadFile(p.File)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%s is out of date: run the test with -update", p.File)
	}
	return nil
}

type schema struct {
	Type        string             `json:"type"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Default     any                `json:"default"`
	Required    []string           `json:"required"`
	Properties  map[string]*schema `json:"properties"`
	Items       *schema            `json:"items"`
	Additional  json.RawMessage    `json:"additionalProperties"`
}

func (s *schema) name() string {
	switch {
	case s.Format == "realmgate-secret-ref":
		return "secret reference"
	case s.Format == "duration":
		return "duration"
	case s.Type == "array" && s.Items.Type == "object":
		return "blocks"
	case len(s.Properties) > 0:
		return "block"
	case s.Type == "array":
		return "list of " + s.Items.name() + "s"
	}
	return s.Type
}

func (s *schema) rows(out *bytes.Buffer, prefix string) (err error) {
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[key]
		value := "none"
		if slices.Contains(s.Required, key) {
			value = "required"
		} else if p.Default != nil {
			value = fmt.Sprintf("`%v`", p.Default)
		}
		full := prefix + key
		if p.Description == "" {
			err = errors.Join(err, fmt.Errorf("the setting %s has no description", full))
		}
		inner := p
		if p.Type == "array" {
			inner = p.Items
		}
		if len(inner.Properties) > 0 {
			fmt.Fprintf(out, "| `%s { }` | %s | %s | %s |\n", full, p.name(), value, p.Description)
			err = errors.Join(err, inner.rows(out, full+" { "))
			continue
		}
		if prefix != "" {
			full += " }"
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", full, p.name(), value, p.Description)
	}
	return err
}
