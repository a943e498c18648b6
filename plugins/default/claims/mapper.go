package claims

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// maxLength bounds an id or a name in bytes.
const maxLength = 1024

// Settings say where the claims of a principal stand. At least one path is needed.
type Settings struct {
	ID   sdk.ClaimPath `json:"id_claim_path,omitempty" doc:"path of the claim that holds the principal's id, e.g. polaris/principal_id"`
	Name sdk.ClaimPath `json:"name_claim_path,omitempty" doc:"path of the claim that holds the principal's name, e.g. preferred_username"`
}

// Mapper maps an identity to a principal by its claims.
type Mapper struct{ settings Settings }

// NewMapper checks the settings.
func NewMapper(_ context.Context, _ sdk.Setup, s Settings) (*Mapper, error) {
	if s.ID.IsZero() && s.Name.IsZero() {
		return nil, errors.New("id_claim_path, name_claim_path or both are needed")
	}
	return &Mapper{settings: s}, nil
}

// MapPrincipal reads id and name. A claim is a string, or a whole number, which keeps its digits. A path that finds
// nothing is skipped if the other one found something; if neither did the identity is denied (claim_missing), and so is a
// claim of another kind (claim_invalid).
func (m *Mapper) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	var ref sdk.PrincipalRef
	for _, c := range []struct {
		path sdk.ClaimPath
		to   *string
	}{{m.settings.ID, &ref.ID}, {m.settings.Name, &ref.Name}} {
		v, ok := id.Claims.Lookup(c.path)
		if !ok || v == nil {
			continue
		}
		text, err := scalar(c.path, v)
		if err != nil {
			return sdk.PrincipalRef{}, err
		}
		*c.to = text
	}
	if ref == (sdk.PrincipalRef{}) {
		return ref, m.missing(id)
	}
	return ref, nil
}

func (m *Mapper) missing(id sdk.Identity) error {
	if len(id.Claims.Raw()) == 0 {
		return sdk.Deny("claim_missing", "the identity has no claims; this tenant's principal mapper needs a token whose claims it can read")
	}
	var paths []string
	for _, p := range []sdk.ClaimPath{m.settings.ID, m.settings.Name} {
		if !p.IsZero() {
			paths = append(paths, p.String())
		}
	}
	return sdk.Deny("claim_missing", "the token has no claim %s", strings.Join(paths, " or "))
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
