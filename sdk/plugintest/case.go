package plugintest

import (
	"context"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/redact"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Case is a configuration of one implementation that works, and a call that succeeds on it. Every (kind, type) that a
// plugin offers needs at least one.
type Case struct {
	Name     string // of the test, beside kind and type; may be empty
	Kind     sdk.Kind
	Type     string
	Settings string // a JSON object; {} if empty
	Setup    sdk.Setup

	Principals []sdk.Principal   // what the host's directory knows; others are forbidden
	AccessKeys []sdk.AccessKey   // what it knows of access keys; others are denied
	Secrets    map[string]string // what the host's secret stores hold, by reference

	// Vend is a request that the case's credential vendor answers; every vendor needs one. Sign is one that it signs; every
	// vendor that signs needs one.
	Vend *sdk.VendRequest
	Sign *sdk.SignRequest

	// Narrowed says what is wrong with credentials that a vendor gave for a request that limits them (NarrowTo); nil error: nothing. It
	// may be nil where the vendor's credentials are the same each time: then it is enough that limited ones are other ones.
	Narrowed func(ctx context.Context, r sdk.VendRequest, got sdk.ConnectionCredentials) error

	// Elsewhere are other settings that are right, of an instance that stands beside the case's: the suite makes some of the
	// schema, unless it has them. Of a secret writer, which needs them, they are those of another store, which must not see what is
	// written to the case's; they may be the case's own where the store's name, which differs, keeps them apart.
	Elsewhere string

	// Call makes one call and gives an error if it fails or if the answer is not the right one. The suite calls it often,
	// concurrently too, and on instances that it configured twice. Without one the suite makes calls of its own, which any
	// answer will do for that an honest part may give: it cannot know the right one.
	Call func(ctx context.Context, i *Instance) error

	bare     bool   // the suite's own: nobody gave settings
	written  bool   // it was read from a file
	standIns bool   // some secrets are the suite's own
	tolerant bool   // Call is the suite's own
	scheme   string // of requests; empty: bearer
}

// Instance is a configured instance of a case, as the host sees it: answers and errors come over the contract.
type Instance struct {
	process *rpc.Process
	suite   *suite
	id      uint64
	c       *Case
	twice   *twice          // nil: each stage is asked once
	asked   func(sdk.State) // is told of what each stage begins with; nil: nobody is

	explained bool    // stages make notes
	record    *record // of what is answered; nil: it is not kept
}

// unspecified is what the contract makes of a reason that is none.
const unspecified = "unspecified"

// heard gives an error on, once it is seen whether it tells a secret, and whether its reason is one and what it stands for.
func (i *Instance) heard(err error) error {
	if err == nil {
		return nil
	}
	i.suite.notes.tells("an error", err.Error())
	d, word := sdk.AsDenial(err), sdk.AsDenial(sdk.NotMine())
	if d != nil && d.Reason == unspecified {
		return found("a denial has no reason, or one that is none: a code in snake case (a-z, 0-9 and _) of at most 64 bytes; callers and logs see %s instead", unspecified)
	}
	if d != nil && d.Reason == word.Reason && (d.Forbidden || d.Detail != "" && d.Detail != word.Detail) {
		return found("the reason %s is reserved for a credential that is not of the part's kind (sdk.NotMine): it has no detail and no 403 of its own, which nobody would see; a denial that says %s needs another reason",
			word.Reason, excerpt(d.Detail))
	}
	return err
}

// realm is the one that is served: the case's, if it has one.
func (i *Instance) realm() string {
	if i.c.Setup.Realm == "" {
		return "plugintest"
	}
	return i.c.Setup.Realm
}

// Step runs a stage of a decision on st: an identity provider, a mapper, an authenticator, an active-roles provider, or
// the verifying half of a token broker. The token of the request must not be repeated by the plugin.
func (i *Instance) Step(ctx context.Context, st *sdk.State) error {
	if st.Request != nil {
		i.suite.notes.confide("the token of a request", st.Request.Token)
	}
	if !i.explained {
		err := i.step(ctx, st)
		i.record.step(*st, err)
		return err
	}
	before := st.Notes
	st.Notes = &sdk.Notes{}
	err := i.step(ctx, st)
	for _, note := range st.Notes.List() {
		i.suite.notes.tells("a note", note)
	}
	st.Notes = before
	return err
}

// step is Step with a token that need not be one.
func (i *Instance) step(ctx context.Context, st *sdk.State) error {
	run := i.process.Run
	if i.suite.unary {
		run = i.process.RunUnary
	}
	if i.asked != nil {
		i.asked(*st)
	}
	step := func(st *sdk.State) error {
		return run(ctx, i.realm(), []rpc.Step{{Kind: i.c.Kind, Instance: i.id}}, st)
	}
	if i.twice != nil {
		return i.heard(i.twice.run(st, step))
	}
	return i.heard(step(st))
}

// Issue asks a token broker for a token.
func (i *Instance) Issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	t, err := i.process.Issue(ctx, i.c.Setup.Realm, i.id, g)
	i.suite.notes.confide("a token that the part issued", t.Value)
	i.record.add("", err)
	return t, i.heard(err)
}

// Keys asks a token broker that publishes keys.
func (i *Instance) Keys(ctx context.Context) (jwks []byte, until time.Time, err error) {
	jwks, until, err = i.process.Keys(ctx, i.c.Setup.Realm, i.id)
	i.record.add("", err) // its keys may be those of the process
	return jwks, until, i.heard(err)
}

// Resolve asks a secret resolver.
func (i *Instance) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	s, err := i.process.Resolve(ctx, i.id, ref)
	i.suite.notes.confide("a secret that the part resolved", string(s.Reveal()))
	i.record.add(string(s.Reveal()), err)
	return s, i.heard(err)
}

// WriteSecret asks a secret resolver that also keeps secrets.
func (i *Instance) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (version string, err error) {
	version, err = i.process.WriteSecret(ctx, i.id, ref, value)
	i.record.add("", err)
	return version, i.heard(err)
}

// DeleteSecret asks a secret resolver that also keeps secrets.
func (i *Instance) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	err := i.process.DeleteSecret(ctx, i.id, ref)
	i.record.add("", err)
	return i.heard(err)
}

// Vend asks a credential vendor.
func (i *Instance) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	got, err := i.process.Vend(ctx, i.c.Setup.Realm, i.id, r)
	for name, v := range got.Properties {
		if redact.Named(name) {
			i.suite.notes.confide("the property "+name+" of credentials that the part gave", string(v.Reveal()))
		}
	}
	i.record.add(properties(got), err)
	return got, i.heard(err)
}

// Sign asks a credential vendor that also signs requests.
func (i *Instance) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	got, err := i.process.Sign(ctx, i.c.Setup.Realm, i.id, r)
	i.record.add(got.URL, err)
	return got, i.heard(err)
}
