package server

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// allowance is the body of a 200 as encoding/json knows it.
type allowance struct {
	Realm     string           `json:"realm"`
	Tenant    string           `json:"tenant,omitempty"`
	Source    string           `json:"source"`
	Principal allowedPrincipal `json:"principal"`
	Roles     []string         `json:"roles"`
	ExpiresAt *time.Time       `json:"expires_at,omitempty"`
	RequestID string           `json:"request_id"`
}

type allowedPrincipal struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// byLibrary is what encoding/json writes of a decision.
func byLibrary(t *testing.T, d pipeline.Decision, id string) []byte {
	t.Helper()
	a := allowance{
		Realm: d.Realm, Tenant: d.Tenant, Source: d.Source.String(), Roles: append([]string{}, d.Roles...), RequestID: id,
		Principal: allowedPrincipal{d.Principal.ID, d.Principal.Name, d.Principal.Attributes},
	}
	if !d.Expires.IsZero() {
		end := d.Expires.UTC()
		a.ExpiresAt = &end
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func written(d pipeline.Decision, id string) []byte {
	p := pages.Get().(*page)
	defer p.back()
	p.allow(d, id)
	return bytes.Clone(p.text.Bytes())
}

// The body is byte for byte what encoding/json makes of it.
func TestAllowance(t *testing.T) {
	t.Parallel()
	noon := time.Date(2030, 1, 2, 12, 0, 0, 0, time.FixedZone("", 3600))
	for name, d := range map[string]pipeline.Decision{
		"least":    {},
		"internal": {Realm: "a", Source: sdk.SourceInternal, Principal: sdk.Principal{ID: "7", Name: "alice"}, Roles: []string{"admin"}, Expires: noon},
		"external": {
			Realm: "a", Tenant: "idp", Source: sdk.SourceExternal, Principal: sdk.Principal{Name: "alice", Attributes: map[string]string{"b": "2", "a": `"`, "": ""}},
			Roles: []string{"x", "y", ""}, Expires: noon.Add(123456789),
		},
	} {
		if got, want := written(d, "0123456789abcdef"), byLibrary(t, d, "0123456789abcdef"); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

// What RFC 3339 cannot write is left out; the rest stands.
func TestAllowanceBeyondTheYears(t *testing.T) {
	t.Parallel()
	d := pipeline.Decision{Realm: "a", Expires: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}
	var got, want allowance
	d2 := d
	d2.Expires = time.Time{}
	for text, into := range map[*allowance][]byte{&got: written(d, "i"), &want: byLibrary(t, d2, "i")} {
		if err := json.Unmarshal(into, text); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// FuzzAllowance gives names whatever bytes: nothing of a name ends its string.
func FuzzAllowance(f *testing.F) {
	for _, s := range []string{"", "plain", `"quoted"`, `back\slash`, "<&>", "\x00\x1f\x7f", "é\u2028", "\xff\xfe", "eight by" + "te\n"} {
		f.Add(s, "k", int64(1))
	}
	f.Fuzz(func(t *testing.T, name, other string, end int64) {
		d := pipeline.Decision{
			Realm: name, Tenant: other, Roles: []string{name, other}, Expires: time.Unix(end%(1<<37), end&0xffff),
			Principal: sdk.Principal{ID: other, Name: name, Attributes: map[string]string{name: other}},
		}
		if d.Expires.UTC().Year() < 0 {
			return // neither can write it
		}
		if got, want := written(d, other), byLibrary(t, d, other); !bytes.Equal(got, want) {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}
