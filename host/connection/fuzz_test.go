package connection

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

func parseDeny(texts ...string) (egress.List, error) { return egress.Parse(texts) }

// FuzzRoundTrip: what is accepted can be kept, shown and given back, and means the same; what is refused gives nothing.
func FuzzRoundTrip(f *testing.F) {
	for _, body := range []string{
		`{}`, bearer("b", "https://x.example.com", "t", ""), oauth("o", `,"scopes":["a","b"],"tokenUri":"https://x.example.com/t"`), sigV4("s", role+`,"externalId":"ab","sessionPolicy":"{\"Statement\":[{}]}"`),
		sigV4("k", `,"accessKeyId":"AKIAX","secretAccessKey":"urn:realmgate-secret:local:a/b#c"`),
		`{"catalog":{"type":"EXTERNAL","name":"x","storageConfigInfo":{},"connectionConfigInfo":{"connectionType":"HIVE","uri":"thrift://h:9083","warehouse":"s3://w","authenticationParameters":{"authenticationType":"IMPLICIT"}}}}`,
		`{"name":"n","signHosts":["*.example.com","[::1]:9000"],"properties":{"a":"b"},"connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":"https://x","authenticationParameters":{"authenticationType":"IMPLICIT"}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := ParseDraft(body)
		if err != nil {
			if !reflect.DeepEqual(d, Draft{}) {
				t.Fatalf("an error with a value: %+v", d)
			}
			return
		}
		if d.check(egress.Default()) != nil {
			return
		}
		c := Connection{Name: d.Name, Info: d.Info, Properties: d.Properties, SignHosts: d.SignHosts, SecretReferences: map[string]sdk.SecretRef{}}
		for field, g := range d.Secrets {
			if c.SecretReferences[field] = g.Reference; g.Reference.IsZero() {
				if c.SecretReferences[field], err = sdk.ParseSecretRef("urn:realmgate-secret:local:x/" + field); err != nil {
					t.Fatal(err)
				}
			}
		}
		stored, err := c.stored()
		if err != nil {
			t.Fatal(err)
		}
		kept, err := fromStored(stored)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(kept)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDraft(text)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if again.Name != d.Name || !sameJSON(t, again.Info, d.Info) || !sameJSON(t, again.Properties, nonNilMap(d.Properties)) || len(again.SignHosts) != len(d.SignHosts) {
			t.Fatalf("%+v\nbecame\n%+v", d, again)
		}
		if f := again.check(egress.Default()); f != nil {
			t.Fatalf("what was shown is refused: %v: %s", f, text)
		}
		if len(kept.SecretReferences) != len(c.SecretReferences) {
			t.Fatalf("%v became %v", c.SecretReferences, kept.SecretReferences)
		}
	})
}

func nonNilMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(x) == "null" {
		x = []byte("{}")
	}
	return string(x) == string(y)
}
