package plugintest

import (
	"context"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func TestManual(t *testing.T) {
	t.Parallel()
	got, err := Manual(map[string]string{"principal-mapper/badge": "By badge."}, badges(nil)...)
	const want = "\n## principal-mapper\n\n### `badge`\n\nBy badge.\n\n| key | type | default | meaning |\n|---|---|---|---|\n" +
		"| `claim` | string | required | claim that holds the badge number |\n"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	type nested struct {
		Login *struct {
			Role string `json:"role" doc:"its role"`
		} `json:"login,omitempty" doc:"how to log in"`
	}
	blocks := sdk.PrincipalMapperType("nested", func(context.Context, sdk.Setup, nested) (*badge, error) { return &badge{}, nil })
	got, err = Manual(map[string]string{"principal-mapper/nested": "."}, blocks)
	if err != nil || !strings.HasSuffix(string(got), "| `login { }` | block | none | how to log in |\n| `login { role }` | string | required | its role |\n") {
		t.Errorf("%s, %v", got, err)
	}
	type bare struct {
		Key string `json:"key"`
	}
	undocumented := sdk.PrincipalMapperType("bare", func(context.Context, sdk.Setup, bare) (*badge, error) { return &badge{}, nil })
	_, err = Manual(nil, undocumented)
	if err == nil || !strings.Contains(err.Error(), "bare is not described") || !strings.Contains(err.Error(), "the setting key has no description") {
		t.Error(err)
	}
}
