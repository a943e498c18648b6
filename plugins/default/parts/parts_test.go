package parts_test

import (
	"slices"
	"testing"

	"github.com/realmgate/realmgate/plugins/default/parts"
)

// What the host must refuse elsewhere is announced, so that the host need not know any type by its name.
func TestMarks(t *testing.T) {
	t.Parallel()
	var operator, external []string
	for _, i := range parts.Implementations() {
		name := i.Kind().String() + "/" + i.Type()
		if i.OperatorOnly() {
			operator = append(operator, name)
		}
		if i.ExternalOnly() {
			external = append(external, name)
		}
	}
	if want := []string{"secret-resolver/env", "secret-resolver/file"}; !slices.Equal(operator, want) {
		t.Errorf("for the operator only: %q, want %q", operator, want)
	}
	if want := []string{"authenticator/claims"}; !slices.Equal(external, want) {
		t.Errorf("for external realms only: %q, want %q", external, want)
	}
}
