package plugintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// checkManifest checks what rpc does not: that there is a version, and that schemas are strict.
func checkManifest(m rpc.Manifest) error {
	var faults []error
	if m.Version == "" {
		faults = append(faults, errors.New("the manifest has no version"))
	}
	for _, o := range m.Offers {
		var schema struct {
			Type       string `json:"type"`
			Additional *bool  `json:"additionalProperties"`
		}
		if err := json.Unmarshal(o.SettingsSchema, &schema); err != nil {
			faults = append(faults, fmt.Errorf("%v %s: the settings schema: %w", o.Kind, o.Type, err))
		} else if schema.Type != "object" || schema.Additional == nil || *schema.Additional {
			faults = append(faults, fmt.Errorf("%v %s: the settings schema is not one of an object that refuses unknown keys", o.Kind, o.Type))
		}
	}
	return errors.Join(faults...)
}

// checkOffered: what cases are for is offered. It is the case that is wrong otherwise, and not the plugin.
func checkOffered(m rpc.Manifest, cases []Case) error {
	all := make([]string, len(m.Offers))
	for n, o := range m.Offers {
		all[n] = fmt.Sprintf("%v %s", o.Kind, o.Type)
	}
	var faults []error
	for _, c := range cases {
		if of := fmt.Sprintf("%v %s", c.Kind, c.Type); !slices.Contains(all, of) {
			faults = append(faults, fmt.Errorf("the case %s: the plugin does not offer that; it offers %s", c.title(), strings.Join(all, ", ")))
		}
	}
	return errors.Join(faults...)
}

// checkCovered: everything that is offered has a case.
func checkCovered(m rpc.Manifest, cases []Case) error {
	var faults []error
	for _, o := range m.Offers {
		if !slices.ContainsFunc(cases, func(c Case) bool { return c.Kind == o.Kind && c.Type == o.Type }) {
			faults = append(faults, fmt.Errorf("%v %s: there is no case for it", o.Kind, o.Type))
		}
	}
	return errors.Join(faults...)
}
