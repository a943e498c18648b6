package sdk

import (
	"context"
	"fmt"
	"reflect"
)

// Setup is what the host says about an instance beside its settings. Which fields are set depends on the scope of the
// kind: a realm, a tenant, a secret store, an authentication type, or nothing for the whole daemon.
type Setup struct {
	Realm, Issuer      string            // token broker, authenticator
	Audience           []string          // token broker, authenticator
	Tenant             string            // identity provider and the two mappers
	Store              string            // secret resolver
	Environment        map[string]Secret // secret resolver: the variables that its block lists
	Unset              []string          // secret resolver: those of them that the host's environment does not have
	AuthenticationType string            // credential vendor
	RolePrefix         string            // every kind: what a requested role starts with
}

// New is the constructor of an implementation: settings come decoded and checked against their type. Errors made with
// [At] blame one key of the settings; join several with errors.Join. An instance that also implements io.Closer is
// closed when the host releases it.
type New[S, T any] func(ctx context.Context, setup Setup, settings S) (T, error)

// Implementation is one (kind, type) that a binary offers; made by the typed functions of this package.
type Implementation struct {
	kind         Kind
	typ          string
	schema       []byte
	fault        error // of the settings type
	build        func(context.Context, Setup, []byte) (any, error)
	schemes      []string
	http         bool
	operatorOnly bool
	externalOnly bool
	cacheable    bool
	abilities    []Ability
	wants        []Want
}

// Check says what is wrong with the settings type: a field that [Decode] cannot fill, or a default tag that does not fit. It is
// the author's mistake, and the plugin is not served.
func (i Implementation) Check() error { return i.fault }

// Kind gives the kind.
func (i Implementation) Kind() Kind { return i.kind }

// Type gives the name by which configuration selects the implementation.
func (i Implementation) Type() string { return i.typ }

// SettingsSchema gives the JSON Schema of the settings; none if their type has a fault, see [Implementation.Check].
func (i Implementation) SettingsSchema() []byte { return i.schema }

// Schemes gives the authentication schemes that a verifier takes, lower case.
func (i Implementation) Schemes() []string { return i.schemes }

// NeedsHTTP says whether the implementation wants Request.HTTP.
func (i Implementation) NeedsHTTP() bool { return i.http }

// OperatorOnly says whether only the operator's configuration may refer to the secrets of a store.
func (i Implementation) OperatorOnly() bool { return i.operatorOnly }

// ExternalOnly says whether an authenticator is for external realms only.
func (i Implementation) ExternalOnly() bool { return i.externalOnly }

// Cacheable says whether the answers of a stage may be remembered without a hint, see the option [Cacheable].
func (i Implementation) Cacheable() bool { return i.cacheable }

// Abilities gives the further interfaces that the implementation satisfies.
func (i Implementation) Abilities() []Ability { return i.abilities }

// Wants gives what the implementation asks the host for.
func (i Implementation) Wants() []Want { return i.wants }

// Build decodes settings (a JSON object) strictly and calls the constructor. A panic becomes an error. The error may join
// several, see [Problems].
func (i Implementation) Build(ctx context.Context, setup Setup, settings []byte) (impl any, err error) {
	err = Guard(func() (err error) {
		impl, err = i.build(ctx, setup, settings)
		return err
	})
	if err != nil {
		return nil, err
	}
	return impl, nil
}

// Option changes how an implementation is announced.
type Option func(*Implementation)

// NeedsHTTP asks for the original HTTP request in Request.HTTP. The host leaves it out otherwise.
func NeedsHTTP() Option { return func(i *Implementation) { i.http = true } }

// Schemes lists the authentication schemes that a verifier takes, lower case; bearer without it.
func Schemes(names ...string) Option { return func(i *Implementation) { i.schemes = names } }

// OperatorOnly marks a secret resolver that reaches into the machine that it runs on: a reference that comes in with a call
// never reaches it, only those of the operator's configuration do.
func OperatorOnly() Option { return func(i *Implementation) { i.operatorOnly = true } }

// ExternalOnly marks an authenticator that believes what a foreign identity says of itself: the host refuses it on a realm
// that has tokens of its own.
func ExternalOnly() Option { return func(i *Implementation) { i.externalOnly = true } }

// Cacheable says of a stage of a decision that the host may remember its answers, allowing and denying ones, for as long as the
// credential lives and the operator allows, and give them to equal requests: they depend on nothing but what the call gives to it,
// its settings, and what [FindPrincipal] and [FindAccessKey] say. What else they depend on may then count up to a minute late,
// or as long as a realm's cache { max_age } says. It must not be said by a stage that looks at Request.Peer, at the hour, at how
// often it was asked, or that takes a token once.
//
// Without it a decision in which the stage spoke is remembered only if the stage said [CacheFor] with that answer.
func Cacheable() Option { return func(i *Implementation) { i.cacheable = true } }

func provide[S, T any](k Kind, typ string, construct New[S, T], opts []Option) Implementation {
	i := Implementation{kind: k, typ: typ, build: func(ctx context.Context, su Setup, raw []byte) (any, error) {
		var s S
		if err := Decode(raw, &s); err != nil {
			return nil, err
		}
		return construct(ctx, su, s)
	}}
	if i.schema, i.fault = schemaOf(reflect.TypeFor[S]()); i.fault != nil {
		i.fault = fmt.Errorf("%v %q: %w", k, typ, i.fault)
	}
	t := reflect.TypeFor[T]()
	for _, a := range []struct {
		ability Ability
		of      Kind
		iface   reflect.Type
	}{
		{AbilityKeyPublisher, KindTokenBroker, reflect.TypeFor[KeyPublisher]()},
		{AbilitySecretWriter, KindSecretResolver, reflect.TypeFor[SecretWriter]()},
		{AbilityRequestSigner, KindCredentialVendor, reflect.TypeFor[RequestSigner]()},
		{AbilityChecker, k, reflect.TypeFor[Checker]()},
	} {
		if k == a.of && t.Implements(a.iface) {
			i.abilities = append(i.abilities, a.ability)
		}
	}
	for _, o := range opts {
		o(&i)
	}
	return i
}

// IdentityProviderType offers an identity provider under a type name.
func IdentityProviderType[S any, T IdentityProvider](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindIdentityProvider, typ, construct, opts)
}

// PrincipalMapperType offers a principal mapper under a type name.
func PrincipalMapperType[S any, T PrincipalMapper](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindPrincipalMapper, typ, construct, opts)
}

// PrincipalRolesMapperType offers a roles mapper under a type name.
func PrincipalRolesMapperType[S any, T PrincipalRolesMapper](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindPrincipalRolesMapper, typ, construct, opts)
}

// AuthenticatorType offers an authenticator under a type name.
func AuthenticatorType[S any, T Authenticator](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindAuthenticator, typ, construct, opts)
}

// ActiveRolesProviderType offers an active-roles provider under a type name.
func ActiveRolesProviderType[S any, T ActiveRolesProvider](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindActiveRolesProvider, typ, construct, opts)
}

// TokenBrokerType offers a token broker under a type name. A T that is also a [KeyPublisher] is announced as one.
func TokenBrokerType[S any, T TokenBroker](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindTokenBroker, typ, construct, opts)
}

// SecretResolverType offers a secret resolver under a type name. A T that is also a [SecretWriter] is announced as one.
func SecretResolverType[S any, T SecretResolver](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindSecretResolver, typ, construct, opts)
}

// CredentialVendorType offers a credential vendor under a type name. A T that is also a [RequestSigner] is announced as one.
func CredentialVendorType[S any, T CredentialVendor](typ string, construct New[S, T], opts ...Option) Implementation {
	return provide(KindCredentialVendor, typ, construct, opts)
}
