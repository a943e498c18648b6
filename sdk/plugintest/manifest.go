package plugintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// checkManifest checks what rpc does not: that schemas are strict, and that there is no case for what is not offered.
func checkManifest(m rpc.Manifest, cases []Case) error {
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
	for _, c := range cases {
		if !slices.ContainsFunc(m.Offers, func(o rpc.Offer) bool { return c.Kind == o.Kind && c.Type == o.Type }) {
			faults = append(faults, fmt.Errorf("%v %s: there is a case, but it is not offered", c.Kind, c.Type))
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
