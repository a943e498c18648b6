package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// maxLength bounds an id or a name in bytes.
const maxLength = 1024

// Settings say where the claims of a principal stand. At least one path is needed, and every one that is set must find
// something.
type Settings struct {
	ID   sdk.ClaimPath `json:"id_claim_path,omitempty" doc:"path of the claim that holds the principal's id, e.g. polaris/principal_id"`
	Name sdk.ClaimPath `json:"name_claim_path,omitempty" doc:"path of the claim that holds the principal's name, e.g. preferred_username"`
}

// Mapper maps an identity to a principal by its claims.
type Mapper struct{ settings Settings }

// NewMapper checks the settings.
func NewMapper(_ context.Context, _ sdk.Setup, s Settings) (*Mapper, error) {
	if s.ID.IsZero() && s.Name.IsZero() {
		return nil, sdk.At(errors.New("id_claim_path, name_claim_path or both are needed"), "id_claim_path")
	}
	return &Mapper{settings: s}, nil
}

// MapPrincipal reads id and name. A claim is a string, or a whole number, which keeps its digits. An identity without a
// claim that a path names is denied (claim_missing), and so is a claim of another kind (claim_invalid). One path does not
// stand in for the other: a name is often a claim that its user may edit, and must not do where the id was to decide.
func (m *Mapper) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	var ref sdk.PrincipalRef
	notes := sdk.NotesOf(ctx)
	for _, c := range []struct {
		path sdk.ClaimPath
		to   *string
		is   string
	}{{m.settings.ID, &ref.ID, "id"}, {m.settings.Name, &ref.Name, "name"}} {
		if c.path.IsZero() {
			continue
		}
		v, ok := id.Claims.Lookup(c.path)
		if notes != nil {
			notes.Add("the %s: the claim %s is %s", c.is, c.path, found(v, ok))
		}
		if !ok || v == nil {
			return sdk.PrincipalRef{}, missing(id, c.path)
		}
		text, err := scalar(c.path, v)
		if err != nil {
			return sdk.PrincipalRef{}, err
		}
		*c.to = text
	}
	return ref, nil
}

// found tells of a claim.
func found(v any, ok bool) string {
	switch v.(type) {
	case nil:
		if ok {
			return "null"
		}
		return "not there"
	case map[string]any, []any:
		return "an object or a list"
	}
	return fmt.Sprintf("%q", fmt.Sprint(v))
}

func missing(id sdk.Identity, path sdk.ClaimPath) error {
	if len(id.Claims.Raw()) == 0 {
		return sdk.Deny("claim_missing", "the identity has no claims; this tenant's principal mapper needs a token whose claims it can read")
	}
	return sdk.Deny("claim_missing", "the token has no claim %s", path)
}

// scalar gives a claim as text. A number with a fraction or an exponent is no id: 1.0 and 1e0 would be other texts for 1.
func scalar(path sdk.ClaimPath, v any) (string, error) {
	var text string
	switch x := v.(type) {
	case string:
		text = x
	case json.Number:
		if strings.ContainsAny(string(x), ".eE") {
			return "", sdk.Deny("claim_invalid", "the claim %s is a number, but not a whole one", path)
		}
		text = string(x)
	default:
		return "", sdk.Deny("claim_invalid", "the claim %s is neither a string nor a whole number", path)
	}
	if text == "" || len(text) > maxLength {
		return "", sdk.Deny("claim_invalid", "the claim %s is empty or longer than %d bytes", path, maxLength)
	}
	return text, nil
}
