package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// token is what the server says of one. Its value and its accessor are left out: both open something.
type token struct {
	Accessor         string            `json:"accessor"`
	EntityID         string            `json:"entity_id"`
	DisplayName      string            `json:"display_name"`
	Path             string            `json:"path"`
	Policies         []string          `json:"policies"`
	IdentityPolicies []string          `json:"identity_policies"`
	Meta             map[string]string `json:"meta"`
	NamespacePath    string            `json:"namespace_path"`
	Type             string            `json:"type"`
	Orphan           bool              `json:"orphan"`
	Renewable        bool              `json:"renewable"`
	NumUses          int               `json:"num_uses"`
	TTL              int64             `json:"ttl"` // seconds; zero: it does not expire
	Created          int64             `json:"creation_time"`
	ExpireTime       *string           `json:"expire_time"`
	BoundCIDRs       []string          `json:"bound_cidrs"`
}

func read(data map[string]any) (token, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return token{}, errors.New("the server's answer about the token cannot be read")
	}
	var t token
	if json.Unmarshal(raw, &t) != nil || t.Type == "" {
		return token{}, errors.New("the server's answer is not one about a token")
	}
	slices.Sort(t.Policies)
	slices.Sort(t.IdentityPolicies)
	return t, nil
}

// policies are the token's own and its entity's.
func (t *token) policies() []string {
	out := slices.Concat(t.Policies, t.IdentityPolicies)
	slices.Sort(out)
	return slices.Compact(out)
}

func (p *Provider) check(t token) error {
	s := &p.settings
	all := t.policies()
	switch {
	case t.NumUses != 0:
		return sdk.Deny("token_limited", "the token may be used a limited number of times, and each look at it is one")
	case len(t.BoundCIDRs) > 0:
		return sdk.Deny("token_bound", "the token is bound to addresses, and nobody looks at those here")
	case t.Type != "service" && t.Type != "batch":
		return sdk.Deny("token_malformed", "the token is neither a service nor a batch token")
	case slices.Contains(all, "root") && !s.AllowRoot:
		return sdk.Deny("token_root", "tokens with the policy root are not accepted")
	case s.Namespace != "" && strings.Trim(t.NamespacePath, "/") != strings.Trim(s.Namespace, "/"):
		return sdk.Deny("namespace_mismatch", "the token is of another namespace")
	case !pathAllowed(s.AuthPaths, t.Path):
		return sdk.Deny("auth_path_not_allowed", "the token comes from a login that this tenant does not accept")
	case len(s.Policies) > 0 && !slices.ContainsFunc(s.Policies, func(x string) bool { return slices.Contains(all, x) }):
		return sdk.Deny("policy_missing", "the token has none of the policies that this tenant accepts")
	case s.RequireEntity && t.EntityID == "":
		return sdk.Deny("entity_missing", "the token has no entity: nothing says who has it")
	case t.EntityID == "" && t.DisplayName == "":
		return sdk.Deny("entity_missing", "the token has neither an entity nor a display name")
	}
	return nil
}

func pathAllowed(allowed []string, path string) bool {
	return len(allowed) == 0 || slices.ContainsFunc(allowed, func(a string) bool {
		return path == strings.TrimSuffix(a, "/") || strings.HasPrefix(path, strings.TrimSuffix(a, "/")+"/")
	})
}

// entity is what the server says of the one who has a token.
type entity struct {
	Name     string            `json:"name"`
	Disabled bool              `json:"disabled"`
	Metadata map[string]string `json:"metadata"`
	Aliases  []alias           `json:"aliases"`
}

// alias is who an entity is at one login.
type alias struct {
	Name      string            `json:"name"`
	MountPath string            `json:"mount_path"`
	MountType string            `json:"mount_type"`
	Metadata  map[string]string `json:"metadata"`
}

// entity asks, with the provider's own login, about an entity; nil if it has no login or there is no entity.
func (p *Provider) entity(ctx context.Context, id string) (*entity, error) {
	if p.session == nil || id == "" {
		return nil, nil
	}
	path := "identity/entity/id/" + id
	out, err := p.session.Do(ctx, client.Request{Method: http.MethodGet, Path: path})
	switch {
	case client.Status(err) == http.StatusNotFound:
		return nil, sdk.Deny("entity_missing", "the entity of the token is gone")
	case client.Denied(err):
		return nil, fmt.Errorf(`the policies of the provider's token do not give "read" on identity/entity/id/*: %w`, err)
	case err != nil:
		return nil, err
	case out.Secret == nil:
		return nil, errors.New("the server says nothing of the entity")
	}
	raw, err := json.Marshal(out.Data)
	if err != nil {
		return nil, errors.New("the server's answer about the entity cannot be read")
	}
	var e entity
	if json.Unmarshal(raw, &e) != nil {
		return nil, errors.New("the server's answer is not one about an entity")
	}
	if e.Disabled {
		return nil, sdk.Deny("entity_disabled", "the entity of the token is disabled")
	}
	return &e, nil
}

// identity makes the claims.
func (p *Provider) identity(t token, e *entity, now time.Time) (sdk.Identity, int, error) {
	subject := t.EntityID
	if subject == "" {
		subject = t.DisplayName
	}
	claims := map[string]any{
		"iss": p.settings.Issuer, "sub": subject, "entity_id": t.EntityID, "display_name": t.DisplayName, "path": t.Path, "policies": t.policies(),
		"token_policies": orNone(t.Policies), "identity_policies": orNone(t.IdentityPolicies), "type": t.Type, "orphan": t.Orphan, "renewable": t.Renewable,
	}
	if t.Meta != nil {
		claims["meta"] = t.Meta
	}
	if t.NamespacePath != "" {
		claims["namespace"] = t.NamespacePath
	}
	if e != nil {
		claims["entity_name"], claims["entity_metadata"], claims["entity_aliases"] = e.Name, e.Metadata, e.Aliases
	}
	id := sdk.Identity{Issuer: p.settings.Issuer, Subject: subject, TokenID: tokenID(t.Accessor)}
	if t.Created > 0 {
		id.AuthTime = time.Unix(t.Created, 0)
		claims["iat"] = t.Created
	}
	if t.TTL > 0 {
		id.Expires = now.Add(time.Duration(t.TTL) * time.Second)
		claims["exp"] = id.Expires.Unix()
	} else if t.ExpireTime != nil && *t.ExpireTime != "" {
		return sdk.Identity{}, 0, sdk.Deny("token_inactive", "the token is at its end")
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		return sdk.Identity{}, 0, errors.New("the claims cannot be written as JSON")
	}
	id.Claims = sdk.NewClaims(raw)
	if id.Roles, err = roles(id.Claims, p.settings.RoleClaimPath); err != nil {
		return sdk.Identity{}, 0, err
	}
	return id, len(raw), nil
}

func orNone(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

// tokenID names a token by a hash of its accessor, with which a token can be revoked. Batch tokens have none.
func tokenID(accessor string) string {
	if accessor == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(accessor))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// roles reads the claim with the roles: a list of strings or a string that splits at white space; none if it is absent.
func roles(c *sdk.Claims, at sdk.ClaimPath) ([]string, error) {
	v, ok := c.Lookup(at)
	if !ok || v == nil {
		return nil, nil
	}
	invalid := sdk.Deny("claim_invalid", "the claim %s is neither a list of strings nor a string", at)
	switch v := v.(type) {
	case string:
		return strings.Fields(v), nil
	case []any:
		out := make([]string, 0, len(v))
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, invalid
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, invalid
}
