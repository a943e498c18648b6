package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// checkSchema: what the manifest says of settings is what Configure takes.
func checkSchema(ctx context.Context, s *suite, c Case) error {
	o, _ := s.offer(c)
	var sc schema
	if err := json.Unmarshal(o.SettingsSchema, &sc); err != nil {
		return fmt.Errorf("the settings schema: %w", err)
	}
	given, err := c.object()
	if err != nil {
		return err
	}
	var faults []error
	for _, key := range sc.Required {
		if _, ok := given[key]; !ok {
			faults = append(faults, fmt.Errorf("the schema requires %q, which the case's settings do not have; Configure takes them", key))
			continue
		}
		faults = append(faults, s.refuses(ctx, c, key, nil, fmt.Sprintf("settings without %q, which the schema requires,", key)))
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		p := sc.Properties[key]
		if p == nil {
			faults = append(faults, fmt.Errorf("the schema does not have the key %q, which Configure takes", key))
			continue
		}
		if odd := p.another(); odd != nil {
			faults = append(faults, s.refuses(ctx, c, key, odd, fmt.Sprintf("a %s for %q, which the schema says is a %s,", kindOf(odd), key, p.Type)))
		}
		if inner := withUnknown(given[key]); inner != nil && p.strict() {
			faults = append(faults, s.refuses(ctx, c, key, inner, fmt.Sprintf("an unknown key in %q", key)))
		}
	}
	return errors.Join(faults...)
}

// refuses wants an error at a key of settings, or one that names it, or one about all of them.
func (s *suite) refuses(ctx context.Context, c Case, key string, value json.RawMessage, what string) error {
	settings, err := c.with(key, value)
	if err != nil {
		return err
	}
	i, ds, err := s.configure(ctx, c, settings)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !slices.ContainsFunc(ds, isFault) {
		return errors.Join(fmt.Errorf("%s are taken", what), s.release(ctx, i))
	}
	at := slices.IndexFunc(ds, func(d rpc.Diagnostic) bool {
		return isFault(d) && (d.Path == "" || d.Path == "/"+key || strings.HasPrefix(d.Path, "/"+key+"/") || strings.Contains(d.Summary, key))
	})
	if at < 0 {
		return fmt.Errorf("%s are refused, but somewhere else: %s", what, told(ds[0]))
	}
	if ds[at].Unavailable {
		return fmt.Errorf("%s are a failure, which is tried again for ever, and not an error of the settings: %s", what, ds[at].Summary)
	}
	return nil
}

// another gives a value that is not of the schema's type; nil where anything may be.
func (s *schema) another() json.RawMessage {
	switch s.Type {
	case "string", "object":
		return json.RawMessage(`7`)
	case "integer", "number", "boolean", "array":
		return json.RawMessage(`"plugintest"`)
	}
	return nil
}

func kindOf(value json.RawMessage) string {
	if value[0] == '"' {
		return "text"
	}
	return "number"
}

// strict says whether a block, or each one of a list, refuses unknown keys.
func (s *schema) strict() bool {
	if s.Type == "array" && s.Items != nil {
		return s.Items.strict()
	}
	return s.Type == "object" && string(s.Additional) == "false"
}

// withUnknown gives a block, or a list of them, with an unknown key in the first one; nil if it is neither.
func withUnknown(raw json.RawMessage) json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && len(list) > 0 {
		if list[0] = withUnknown(list[0]); list[0] == nil {
			return nil
		}
		out, _ := json.Marshal(list) // it was JSON
		return out
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil
	}
	m["key_that_is_not_known"] = json.RawMessage(`1`)
	out, _ := json.Marshal(m) // it was JSON
	return out
}

// checkLargeSettings: what is large is looked at like anything else.
func checkLargeSettings(ctx context.Context, s *suite, c Case) error {
	const key = "key_that_is_not_known"
	settings, err := c.with(key, json.RawMessage(`"`+strings.Repeat("x", 900<<10)+`"`))
	if err != nil {
		return err
	}
	_, ds, err := s.configure(ctx, c, settings)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ds, isFault) {
		return errors.New("settings with an unknown key of 900 KiB are taken")
	}
	return nil
}
