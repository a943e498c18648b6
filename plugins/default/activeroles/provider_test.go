package activeroles

import (
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestActiveRoles(t *testing.T) {
	t.Parallel()
	granted := []string{"service_admin", "catalog_admin", "reader"}
	tests := map[string]struct {
		prefix          string
		requested, want []string
		refused         string
	}{
		"all":                         {"", []string{"PRINCIPAL_ROLE:ALL"}, []string{"catalog_admin", "reader", "service_admin"}, ""},
		"some, sorted, once":          {"", []string{"PRINCIPAL_ROLE:service_admin", "PRINCIPAL_ROLE:catalog_admin", "PRINCIPAL_ROLE:service_admin"}, []string{"catalog_admin", "service_admin"}, ""},
		"nothing requested":           {"", nil, []string{}, ""},
		"without the prefix":          {"", []string{"service_admin", "email", "ALL"}, []string{}, ""},
		"the prefix alone":            {"", []string{"PRINCIPAL_ROLE:"}, []string{}, ""},
		"all and one of them":         {"", []string{"PRINCIPAL_ROLE:reader", "PRINCIPAL_ROLE:ALL"}, []string{"catalog_admin", "reader", "service_admin"}, ""},
		"not granted":                 {"", []string{"PRINCIPAL_ROLE:reader", "PRINCIPAL_ROLE:root"}, nil, "root"},
		"not granted, next to all":    {"", []string{"PRINCIPAL_ROLE:ALL", "PRINCIPAL_ROLE:root"}, nil, "root"},
		"case matters":                {"", []string{"PRINCIPAL_ROLE:Reader"}, nil, "Reader"},
		"another prefix":              {"POLARIS_ROLE:", []string{"POLARIS_ROLE:reader", "PRINCIPAL_ROLE:root"}, []string{"reader"}, ""},
		"another prefix with all":     {"POLARIS_ROLE:", []string{"POLARIS_ROLE:ALL"}, []string{"catalog_admin", "reader", "service_admin"}, ""},
		"another prefix, not granted": {"POLARIS_ROLE:", []string{"POLARIS_ROLE:root"}, nil, "root"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			impl, err := sdk.ActiveRolesProviderType("default", NewProvider).Build(t.Context(), sdk.Setup{RolePrefix: tt.prefix}, []byte(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			who := sdk.Principal{Name: "alice", Enabled: true, Roles: slices.Clone(granted)}
			got, err := impl.(*Provider).ActiveRoles(t.Context(), who, tt.requested)
			if tt.refused != "" {
				d := sdk.AsDenial(err)
				if d == nil || d.Reason != "role_not_granted" || !d.Forbidden || !strings.Contains(d.Detail, tt.refused) {
					t.Fatalf("error %v, want role_not_granted naming %s", err, tt.refused)
				}
				return
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if !slices.Equal(who.Roles, granted) {
				t.Errorf("the principal's own roles were changed to %q", who.Roles)
			}
		})
	}
}

func BenchmarkActiveRoles(b *testing.B) {
	p := &Provider{prefix: "PRINCIPAL_ROLE:"}
	who := sdk.Principal{Roles: []string{"service_admin", "catalog_admin"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.ActiveRoles(b.Context(), who, []string{"PRINCIPAL_ROLE:ALL"}); err != nil {
			b.Fatal(err)
		}
	}
}
