package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// Manifest is what a plugin says it offers.
type Manifest struct {
	Name, Version, Build string
	Offers               []Offer
	Unknown              []string // what is offered of kinds that this host does not know; for the log
	Session              SessionMode
}

// Offer is one (kind, type) of a manifest.
type Offer struct {
	Kind           sdk.Kind
	Type           string
	Abilities      []sdk.Ability
	SettingsSchema []byte     // JSON Schema (2020-12); nil if the plugin gives none
	Schemes        []string   // authentication schemes that a verifier takes, lower case; empty: bearer
	NeedsHTTP      bool       // the stage wants Request.HTTP
	OperatorOnly   bool       // a secret resolver that only the operator's configuration may refer to
	ExternalOnly   bool       // an authenticator for external realms only
	Cacheable      bool       // the answers of a stage may be remembered without a hint
	Wants          []sdk.Want // what it asks the host for beyond what it is given
}

// SessionMode says what a plugin serves on the session stream.
type SessionMode uint8

// The session modes, numbered as in the contract's enum SessionMode.
const (
	SessionNone      SessionMode = iota // no stream: the plugin cannot ask the host for anything
	SessionHostCalls                    // host calls only; stages arrive on the unary services
	SessionLegs                         // host calls, and legs on the stream
)

func manifestFromProto(m *pluginv1.Manifest) (Manifest, error) {
	out := Manifest{Name: m.GetName(), Version: m.GetVersion(), Build: m.GetBuild()}
	switch {
	case !isName(out.Name):
		return Manifest{}, fmt.Errorf("the name %.40q has other characters than letters, digits and -_. in it", out.Name)
	case !isLine(out.Version) || !isLine(out.Build):
		return Manifest{}, errors.New("the version or the build is not one line of at most 200 bytes")
	case m.GetSession() < 0 || m.GetSession() > pluginv1.SessionMode_SESSION_MODE_LEGS:
		return Manifest{}, fmt.Errorf("the session mode %d is unknown", m.GetSession())
	case len(m.GetImplementations()) == 0:
		return Manifest{}, errors.New("nothing is offered")
	case len(m.GetImplementations()) > maxOffers:
		return Manifest{}, fmt.Errorf("more than %d implementations are offered", maxOffers)
	}
	out.Session = SessionMode(m.GetSession())
	for i, x := range m.GetImplementations() {
		if x.GetKind() > pluginv1.Kind_KIND_CREDENTIAL_VENDOR { // the plugin is newer than this host
			out.Unknown = append(out.Unknown, fmt.Sprintf("kind %d, type %.64q", x.GetKind(), x.GetType()))
			continue
		}
		o, err := offerFromProto(x)
		if err != nil {
			return Manifest{}, fmt.Errorf("implementation %d: %w", i, err)
		}
		if slices.ContainsFunc(out.Offers, func(p Offer) bool { return p.Kind == o.Kind && p.Type == o.Type }) {
			return Manifest{}, fmt.Errorf("%v of type %q is offered twice", o.Kind, o.Type)
		}
		out.Offers = append(out.Offers, o)
	}
	if len(out.Offers) == 0 {
		return Manifest{}, fmt.Errorf("nothing is offered that this host knows, only %s", out.Unknown[0])
	}
	return out, nil
}

func offerFromProto(x *pluginv1.Implementation) (Offer, error) {
	k := x.GetKind()
	if k < pluginv1.Kind_KIND_IDENTITY_PROVIDER {
		return Offer{}, fmt.Errorf("the kind %d is none", k)
	}
	o := Offer{Kind: sdk.Kind(k), Type: x.GetType(), NeedsHTTP: x.GetNeedsHttp(), OperatorOnly: x.GetOperatorOnly(), ExternalOnly: x.GetExternalOnly(), Cacheable: x.GetCacheable()}
	if !isName(o.Type) {
		return Offer{}, fmt.Errorf("the type %.40q of a %v has other characters than letters, digits and -_. in it", o.Type, o.Kind)
	}
	if s := x.GetSettingsSchema(); len(s) > 0 {
		if len(s) > maxSchema || !json.Valid(s) || !bytes.HasPrefix(bytes.TrimSpace(s), []byte("{")) {
			return Offer{}, fmt.Errorf("the settings schema of %v %q is not a JSON object of at most %d bytes", o.Kind, o.Type, maxSchema)
		}
		o.SettingsSchema = s
	}
	for _, s := range x.GetSchemes() {
		if !isHeaderName(s) {
			return Offer{}, fmt.Errorf("the scheme %.40q of %v %q is not a token in lower case", s, o.Kind, o.Type)
		}
		o.Schemes = append(o.Schemes, s)
	}
	for _, n := range x.GetWants() {
		// The host refuses what it does not know anyway.
		if w := sdk.Want(n); n > 0 && n <= 255 && w.IsKnown() && !slices.Contains(o.Wants, w) {
			o.Wants = append(o.Wants, w)
		}
	}
	for _, a := range x.GetAbilities() {
		// One that this host does not know yet cannot be asked for either.
		of, known := abilityKinds[sdk.Ability(a)]
		if !known || a < 0 || a > 255 {
			continue
		}
		if of != 0 && of != o.Kind {
			return Offer{}, fmt.Errorf("a %v cannot be a %v", o.Kind, sdk.Ability(a))
		}
		if !slices.Contains(o.Abilities, sdk.Ability(a)) {
			o.Abilities = append(o.Abilities, sdk.Ability(a))
		}
	}
	return o, nil
}

var abilityKinds = map[sdk.Ability]sdk.Kind{
	sdk.AbilityKeyPublisher:  sdk.KindTokenBroker,
	sdk.AbilitySecretWriter:  sdk.KindSecretResolver,
	sdk.AbilityRequestSigner: sdk.KindCredentialVendor,
	sdk.AbilityChecker:       0, // any
}

func isName(s string) bool {
	return s != "" && len(s) <= 64 && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		return !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
	})
}

func isLine(s string) bool {
	return len(s) <= 200 && !slices.ContainsFunc([]rune(s), unicode.IsControl)
}
