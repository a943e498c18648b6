package server

import (
	"maps"
	"slices"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
)

// allow writes the body of a 200: realm, tenant (where there is one), source, principal (id, name, attributes where there are
// any), roles, expires_at (where it is known) and request_id. It is what encoding/json would write, at a tenth of the cost.
func (p *page) allow(d pipeline.Decision, requestID string) {
	p.raw(`{"realm":`)
	p.quoted(d.Realm)
	if d.Tenant != "" {
		p.raw(`,"tenant":`)
		p.quoted(d.Tenant)
	}
	p.raw(`,"source":`)
	p.quoted(d.Source.String())
	p.raw(`,"principal":{"id":`)
	p.quoted(d.Principal.ID)
	p.raw(`,"name":`)
	p.quoted(d.Principal.Name)
	if len(d.Principal.Attributes) > 0 {
		p.attributes(d.Principal.Attributes)
	}
	p.raw(`},"roles":[`)
	for i, role := range d.Roles {
		if i > 0 {
			p.raw(`,`)
		}
		p.quoted(role)
	}
	p.raw(`]`)
	if t := d.Expires.UTC(); !t.IsZero() && t.Year() >= 0 && t.Year() <= maxYear {
		p.raw(`,"expires_at":"`)
		_, _ = p.text.Write(t.AppendFormat(p.text.AvailableBuffer(), time.RFC3339Nano))
		p.raw(`"`)
	}
	p.raw(`,"request_id":`)
	p.quoted(requestID)
	p.raw("}\n")
}

// maxYear is the last one that RFC 3339 can write, and 0 the first.
const maxYear = 9999

func (p *page) attributes(all map[string]string) {
	p.raw(`,"attributes":{`)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			p.raw(`,`)
		}
		p.quoted(name)
		p.raw(`:`)
		p.quoted(all[name])
	}
	p.raw(`}`)
}

// raw writes what is JSON.
func (p *page) raw(s string) { _, _ = p.text.WriteString(s) } // never fails

// quoted writes a string of JSON. Nearly all stand for themselves; any other is the library's work.
func (p *page) quoted(s string) {
	if !plainBytes.of(s) {
		_ = p.encoder.Encode(s)           // a string always can be
		p.text.Truncate(p.text.Len() - 1) // the line's end
		return
	}
	p.raw(`"`)
	p.raw(s)
	p.raw(`"`)
}
