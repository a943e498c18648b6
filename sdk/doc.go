// Package sdk is what the author of a Realmgate plugin writes against: the nouns that flow through a decision, a
// one-method interface per kind of part, and typed registration. It imports the standard library only.
//
// A plugin is a settings struct, a constructor, one method and a main:
//
//	type settings struct {
//		Claim string `json:"claim" doc:"claim that holds the badge number"`
//	}
//
//	type mapper struct{ settings }
//
//	func newMapper(_ context.Context, _ sdk.Setup, s settings) (*mapper, error) { return &mapper{s}, nil }
//
//	func (m *mapper) MapPrincipal(_ context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
//		badge, ok := id.Claims.String(m.Claim)
//		if !ok || badge == "" {
//			return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "the token has no text in the claim %q", m.Claim)
//		}
//		return sdk.PrincipalRef{Name: badge}, nil
//	}
//
//	func main() { serve.Main("acme", "1.0.0", sdk.PrincipalMapperType("badge", newMapper)) }
//
// Two kinds of failure are never mixed up. A [Denial], made with [Deny], [Forbid] or [NotMine], says that the caller is at
// fault. Every other error, a panic and a deadline say that we are, and make the decision unavailable.
package sdk
