package rpc

import (
	"fmt"
	"math"
	"slices"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// Conversions between nouns and messages. xToProto of a nil noun is nil and so is xFromProto of a nil message, unless it
// returns a value. They take everything that a message says. Of what a plugin answers, the caller replaces the tenant of an
// identity, [sdk.Step] the source of a credential; the realm of a credential or a principal is a plugin's word, which the host
// compares with the one that is being served.

func timeToProto(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeFromProto(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func durationFromProto(ms int64) time.Duration {
	if ms <= 0 {
		return 0
	}
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// timeoutFromProto gives what is left for a call, with a default and a bound of an hour.
func timeoutFromProto(us int64) time.Duration {
	if us <= 0 {
		return defaultTimeout
	}
	return time.Duration(min(us, time.Hour.Microseconds())) * time.Microsecond
}

// hintToProto never turns a short life into none at all: what is under a millisecond is not kept.
func hintToProto(h sdk.CacheHint) *pluginv1.CacheHint {
	if h == (sdk.CacheHint{}) {
		return nil
	}
	ms := h.MaxAge.Milliseconds()
	return &pluginv1.CacheHint{MaxAgeMs: ms, NoStore: h.NoStore || h.MaxAge != 0 && ms <= 0}
}

func hintFromProto(h *pluginv1.CacheHint) sdk.CacheHint {
	return sdk.CacheHint{MaxAge: durationFromProto(h.GetMaxAgeMs()), NoStore: h.GetNoStore() || h.GetMaxAgeMs() < 0}
}

func headersToProto(in []sdk.Header) []*pluginv1.Header {
	if len(in) == 0 {
		return nil
	}
	out := make([]*pluginv1.Header, len(in))
	for i, h := range in {
		out[i] = &pluginv1.Header{Name: h.Name, Value: []byte(h.Value)}
	}
	return out
}

func headersFromProto(in []*pluginv1.Header) []sdk.Header {
	if len(in) == 0 {
		return nil
	}
	out := make([]sdk.Header, len(in))
	for i, h := range in {
		out[i] = sdk.Header{Name: h.GetName(), Value: string(h.GetValue())}
	}
	return out
}

func httpToProto(m *sdk.HTTPMessage) *pluginv1.HTTPMessage {
	if m == nil {
		return nil
	}
	return &pluginv1.HTTPMessage{
		Method: m.Method, Scheme: m.Scheme, Host: m.Host, RawTarget: []byte(m.RawTarget),
		Headers: headersToProto(m.Header), BodySha256: m.BodySHA256,
	}
}

func httpFromProto(m *pluginv1.HTTPMessage) *sdk.HTTPMessage {
	if m == nil {
		return nil
	}
	return &sdk.HTTPMessage{
		Method: m.GetMethod(), Scheme: m.GetScheme(), Host: m.GetHost(), RawTarget: string(m.GetRawTarget()),
		Header: headersFromProto(m.GetHeaders()), BodySHA256: m.GetBodySha256(),
	}
}

func requestToProto(r *sdk.Request) *pluginv1.Request {
	if r == nil {
		return nil
	}
	return &pluginv1.Request{
		Scheme: r.Scheme, Token: r.Token, Peer: r.Peer, PeerCertificate: r.PeerCertificate, Http: httpToProto(r.HTTP),
	}
}

func requestFromProto(r *pluginv1.Request, realm string) *sdk.Request {
	if r == nil {
		return nil
	}
	return &sdk.Request{
		Realm: realm, Scheme: r.GetScheme(), Token: r.GetToken(), Peer: r.GetPeer(),
		PeerCertificate: r.GetPeerCertificate(), HTTP: httpFromProto(r.GetHttp()),
	}
}

func identityToProto(i *sdk.Identity) *pluginv1.Identity {
	if i == nil {
		return nil
	}
	return &pluginv1.Identity{
		Tenant: i.Tenant, Issuer: i.Issuer, Subject: i.Subject, Audience: i.Audience, TokenId: i.TokenID,
		Claims: i.Claims.Raw(), Roles: i.Roles, ExpiresUnixMs: timeToProto(i.Expires), AuthTimeUnixMs: timeToProto(i.AuthTime),
	}
}

func identityFromProto(i *pluginv1.Identity) *sdk.Identity {
	if i == nil {
		return nil
	}
	out := &sdk.Identity{
		Tenant: i.GetTenant(), Issuer: i.GetIssuer(), Subject: i.GetSubject(), Audience: i.GetAudience(), TokenID: i.GetTokenId(),
		Roles: i.GetRoles(), Expires: timeFromProto(i.GetExpiresUnixMs()), AuthTime: timeFromProto(i.GetAuthTimeUnixMs()),
	}
	if len(i.GetClaims()) > 0 {
		out.Claims = sdk.NewClaims(i.GetClaims())
	}
	return out
}

func refToProto(r *sdk.PrincipalRef) *pluginv1.PrincipalRef {
	if r == nil {
		return nil
	}
	return &pluginv1.PrincipalRef{Id: r.ID, Name: r.Name}
}

func refFromProto(r *pluginv1.PrincipalRef) *sdk.PrincipalRef {
	if r == nil {
		return nil
	}
	return &sdk.PrincipalRef{ID: r.GetId(), Name: r.GetName()}
}

// rolesToProto keeps the difference between no answer (nil) and no roles.
func rolesToProto(roles []string) *pluginv1.Roles {
	if roles == nil {
		return nil
	}
	return &pluginv1.Roles{Names: roles}
}

func rolesFromProto(r *pluginv1.Roles) []string {
	if r == nil {
		return nil
	}
	return append([]string{}, r.GetNames()...)
}

func credentialToProto(c *sdk.Credential) *pluginv1.Credential {
	if c == nil {
		return nil
	}
	return &pluginv1.Credential{
		Realm: c.Realm, Source: pluginv1.Credential_Source(c.Source), Principal: refToProto(&c.Principal),
		RequestedRoles: c.RequestedRoles, Issuer: c.Issuer, Audience: c.Audience, TokenId: c.TokenID,
		AuthTimeUnixMs: timeToProto(c.AuthTime), SecretVersion: c.SecretVersion, ExpiresUnixMs: timeToProto(c.Expires),
		ClientId: c.ClientID, IssuedAtUnixMs: timeToProto(c.IssuedAt),
	}
}

func credentialFromProto(c *pluginv1.Credential) *sdk.Credential {
	if c == nil {
		return nil
	}
	out := &sdk.Credential{
		Realm: c.GetRealm(), RequestedRoles: c.GetRequestedRoles(), Issuer: c.GetIssuer(), Audience: c.GetAudience(),
		ClientID: c.GetClientId(), IssuedAt: timeFromProto(c.GetIssuedAtUnixMs()),
		TokenID: c.GetTokenId(), AuthTime: timeFromProto(c.GetAuthTimeUnixMs()), SecretVersion: c.GetSecretVersion(),
		Expires: timeFromProto(c.GetExpiresUnixMs()),
	}
	switch c.GetSource() {
	case pluginv1.Credential_SOURCE_INTERNAL:
		out.Source = sdk.SourceInternal
	case pluginv1.Credential_SOURCE_EXTERNAL:
		out.Source = sdk.SourceExternal
	}
	if ref := refFromProto(c.GetPrincipal()); ref != nil {
		out.Principal = *ref
	}
	return out
}

func principalToProto(p *sdk.Principal) *pluginv1.Principal {
	if p == nil {
		return nil
	}
	return &pluginv1.Principal{Realm: p.Realm, Id: p.ID, Name: p.Name, Enabled: p.Enabled, Roles: p.Roles, Attributes: p.Attributes}
}

func principalFromProto(p *pluginv1.Principal) *sdk.Principal {
	if p == nil {
		return nil
	}
	return &sdk.Principal{
		Realm: p.GetRealm(), ID: p.GetId(), Name: p.GetName(), Enabled: p.GetEnabled(), Roles: p.GetRoles(), Attributes: p.GetAttributes(),
	}
}

func accessKeyToProto(k sdk.AccessKey) *pluginv1.AccessKey {
	return &pluginv1.AccessKey{Id: k.ID, Principal: refToProto(&k.Principal), Enabled: k.Enabled, Secret: k.Secret.String()}
}

func accessKeyFromProto(k *pluginv1.AccessKey) (sdk.AccessKey, error) {
	out := sdk.AccessKey{ID: k.GetId(), Enabled: k.GetEnabled()}
	if ref := refFromProto(k.GetPrincipal()); ref != nil {
		out.Principal = *ref
	}
	var err error
	if out.Secret, err = sdk.ParseSecretRef(k.GetSecret()); err != nil {
		return sdk.AccessKey{}, fmt.Errorf("rpc: the secret of an access key: %w", err)
	}
	return out, nil
}

func grantToProto(g sdk.Grant) *pluginv1.Grant {
	return &pluginv1.Grant{
		Principal: refToProto(&g.Principal), ClientId: g.ClientID, Scope: g.Scope, Realm: g.Realm, Issuer: g.Issuer,
		Audience: g.Audience, LifetimeMs: g.Lifetime.Milliseconds(), TokenId: g.TokenID,
		AuthTimeUnixMs: timeToProto(g.AuthTime), SecretVersion: g.SecretVersion,
	}
}

func grantFromProto(g *pluginv1.Grant) sdk.Grant {
	out := sdk.Grant{
		ClientID: g.GetClientId(), Scope: g.GetScope(), Realm: g.GetRealm(), Issuer: g.GetIssuer(), Audience: g.GetAudience(),
		Lifetime: durationFromProto(g.GetLifetimeMs()), TokenID: g.GetTokenId(),
		AuthTime: timeFromProto(g.GetAuthTimeUnixMs()), SecretVersion: g.GetSecretVersion(),
	}
	if ref := refFromProto(g.GetPrincipal()); ref != nil {
		out.Principal = *ref
	}
	return out
}

func tokenToProto(t sdk.Token) *pluginv1.Token {
	return &pluginv1.Token{Value: t.Value, TokenId: t.ID, TokenType: t.Type, ExpiresUnixMs: timeToProto(t.Expires)}
}

func tokenFromProto(t *pluginv1.Token) sdk.Token {
	return sdk.Token{Value: t.GetValue(), ID: t.GetTokenId(), Type: t.GetTokenType(), Expires: timeFromProto(t.GetExpiresUnixMs())}
}

func secretToProto(s sdk.Secret) *pluginv1.Secret {
	return &pluginv1.Secret{Value: s.Reveal(), Version: s.Version, CacheUntilUnixMs: timeToProto(s.CacheUntil)}
}

func secretFromProto(s *pluginv1.Secret) sdk.Secret {
	out := sdk.NewSecret(s.GetValue())
	out.Version, out.CacheUntil = s.GetVersion(), timeFromProto(s.GetCacheUntilUnixMs())
	return out
}

func denialToProto(d *sdk.Denial) *pluginv1.Denial {
	return &pluginv1.Denial{
		Reason: text(d.Reason), Detail: text(d.Detail), Status: statusToProto[d.Forbidden], Challenge: headersToProto(d.Challenge),
	}
}

var statusToProto = map[bool]pluginv1.Denial_Status{
	false: pluginv1.Denial_STATUS_UNAUTHENTICATED, true: pluginv1.Denial_STATUS_FORBIDDEN,
}

// denialFromProto takes a denial from the other process. Its parts end up in metrics and in the headers of an answer, so
// what could do harm there is replaced or left out.
func denialFromProto(d *pluginv1.Denial) *sdk.Denial {
	out := &sdk.Denial{Reason: d.GetReason(), Detail: text(d.GetDetail()), Forbidden: d.GetStatus() == pluginv1.Denial_STATUS_FORBIDDEN}
	if !isCode(out.Reason) {
		out.Reason = otherReason
	}
	for _, h := range d.GetChallenge() {
		if value := string(h.GetValue()); isHeaderName(h.GetName()) && isHeaderValue(value) {
			out.Challenge = append(out.Challenge, sdk.Header{Name: h.GetName(), Value: value})
		}
	}
	return out
}

func isHeaderName(s string) bool {
	return s != "" && len(s) <= 128 && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
	})
}

func isHeaderValue(s string) bool {
	return len(s) <= maxText && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
