package sdk

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

type schemaSettings struct {
	testSettings
	Hosts  []string          `json:"hosts" doc:"hosts that may be asked"`
	Header map[string]string `json:"header,omitempty"`
	Size   int               `json:"size" default:"10"`
	Raw    json.RawMessage   `json:"raw,omitempty"`
	hidden time.Time
	Not    string
}

func TestSchema(t *testing.T) {
	t.Parallel()
	_ = schemaSettings{}.hidden
	got := append(SchemaOf[schemaSettings](), '\n')
	golden := filepath.Join("testdata", "schema.golden.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the schema differs from %s (go test -update writes it):\n%s", golden, got)
	}
}

// What the schema says is a default is what Decode sets.
func TestSchemaDefaultsDecode(t *testing.T) {
	t.Parallel()
	var s schemaSettings
	if err := Decode([]byte(`{"name":"x","hosts":[]}`), &s); err != nil {
		t.Fatal(err)
	}
	if s.Size != 10 || s.Skew.Std() != 30*time.Second || !s.Strict {
		t.Errorf("%+v", s)
	}
}
