package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

var errOtherRealm = errors.New("an instance of one realm was called for another")

// Leg is a run of adjacent stages that one process serves. It is safe for concurrent use, and outlives the process.
type Leg struct{ way }

// Leg binds handles of one plugin, in the order of the decision, for a realm.
func (s *Set) Leg(realm string, hs []Handle) (*Leg, error) {
	if len(hs) == 0 {
		return nil, errors.New("catalog: a leg needs a stage")
	}
	all := make([]*instance, len(hs))
	for n, h := range hs {
		switch {
		case h.inst == nil:
			return nil, errors.New("catalog: a leg has a handle of no instance")
		case n > 0 && all[0].p != h.inst.p:
			return nil, fmt.Errorf("catalog: a leg of plugin %s cannot have the stage %v", all[0].p.src.Name, h)
		}
		all[n] = h.inst
	}
	l := &Leg{newWay(all...)}
	l.guard(s, "realm", realm)
	l.judged = true
	return l, nil
}

// Run runs the stages for the realm of the request, and adds to st what they make. A *sdk.Denial means no; any other
// error, which names the plugin, means that the decision is unavailable.
func (l *Leg) Run(ctx context.Context, st *sdk.State) error {
	if st.Request == nil {
		return errors.New("catalog: a leg needs a request")
	}
	realm, before := st.Request.Realm, *st
	for _, i := range l.all {
		if !i.in.serves(realm) {
			return i.foreign()
		}
	}
	return l.do(ctx, func(ctx context.Context, x *process, ids []uint64) (int, error) {
		steps := make([]rpc.Step, len(ids))
		for n, id := range ids {
			steps[n] = rpc.Step{Kind: l.all[n].in.Kind, Instance: id}
		}
		*st = before // of a call that was lost nothing counts
		err := x.Run(ctx, realm, steps, st)
		return l.done(st), err
	})
}

// done counts the stages of the leg that have left what they make.
func (l *Leg) done(st *sdk.State) int {
	for n, i := range l.all {
		var made bool
		switch i.in.Kind {
		case sdk.KindIdentityProvider:
			made = st.Identity != nil
		case sdk.KindPrincipalMapper:
			made = st.Ref != nil
		case sdk.KindPrincipalRolesMapper:
			made = st.Mapped != nil
		case sdk.KindTokenBroker:
			made = st.Credential != nil
		case sdk.KindAuthenticator:
			made = st.Principal != nil
		case sdk.KindActiveRolesProvider:
			made = st.Active != nil
		}
		if !made {
			return n
		}
	}
	return len(l.all)
}

// foreign is the error of a call for a realm that the instance does not serve.
func (i *instance) foreign() error {
	return fmt.Errorf("plugin %s: %v: %w", i.p.src.Name, i, errOtherRealm)
}

// fault names the plugin in an error of a call, once, and makes the text of the plugin's own safe. A denial is no fault.
func (w *way) fault(err error) error {
	p, name := w.p, w.name
	err = p.c.clean(err, w.hide)
	switch {
	case err == nil || sdk.AsDenial(err) != nil:
		return err
	case errors.Is(err, rpc.ErrLost):
		return fmt.Errorf("plugin %s: %s%w: %w", p.src.Name, name, ErrUnavailable, err)
	}
	return fmt.Errorf("plugin %s: %s%w", p.src.Name, name, err)
}

// Broker calls a token broker on behalf of one realm. It satisfies the parts of sdk.TokenBroker and sdk.KeyPublisher that
// are no stage of a decision.
type Broker struct {
	caller
	realm string
}

// Broker binds a handle of a token broker to a realm.
func (s *Set) Broker(h Handle, realm string) *Broker {
	b := &Broker{newCaller(h), realm}
	if b.inst != nil {
		b.guard(s, "realm", realm)
	}
	b.judged = true
	return b
}

// Issue issues a token, see [sdk.TokenBroker].
func (b *Broker) Issue(ctx context.Context, g sdk.Grant) (t sdk.Token, err error) {
	err = b.call(ctx, issues, func(ctx context.Context, x *process, id uint64) (err error) {
		t, err = x.Issue(ctx, b.realm, id, g)
		return err
	})
	return t, err
}

// Keys gives the public keys, see [sdk.KeyPublisher].
func (b *Broker) Keys(ctx context.Context) (jwks []byte, until time.Time, err error) {
	err = b.call(ctx, keys, func(ctx context.Context, x *process, id uint64) (err error) {
		jwks, until, err = x.Keys(ctx, b.realm, id)
		return err
	})
	return jwks, until, err
}

func (b *Broker) call(ctx context.Context, m method, f func(context.Context, *process, uint64) error) error {
	if b.inst == nil {
		return errNoInstance
	}
	if !b.inst.in.serves(b.realm) {
		return b.inst.foreign()
	}
	c := b.caller
	c.does = m
	return c.ask(ctx, f)
}

// caller calls one instance.
type caller struct {
	inst *instance // nil: there is none
	way
}

func newCaller(h Handle) caller {
	if h.inst == nil {
		return caller{}
	}
	return caller{h.inst, newWay(h.inst)}
}

var errNoInstance = errors.New("catalog: a handle of no instance was called")

func (c *caller) ask(ctx context.Context, f func(ctx context.Context, x *process, id uint64) error) error {
	if c.inst == nil {
		return errNoInstance
	}
	return c.do(ctx, func(ctx context.Context, x *process, ids []uint64) (int, error) { return 0, f(ctx, x, ids[0]) })
}

// Vendor calls a credential vendor on behalf of one realm. It satisfies sdk.CredentialVendor and, if CanSign,
// sdk.RequestSigner. While a call is under way, and for it alone, the plugin may resolve the credentials of the service
// identity that the call brings along, whether or not they are granted to the realm.
type Vendor struct {
	caller
	realm string
}

// Vendor binds a handle of a credential vendor to a realm.
func (s *Set) Vendor(h Handle, realm string) *Vendor {
	return &Vendor{newCaller(h), realm} // without a gate: it serves many connections, of which one may hang
}

// Vend gives credentials for a connection of the realm, see [sdk.CredentialVendor].
func (v *Vendor) Vend(ctx context.Context, r sdk.VendRequest) (c sdk.ConnectionCredentials, err error) {
	err = v.call(ctx, r.Connection, func(ctx context.Context, x *process, id uint64) (err error) {
		c, err = x.Vend(ctx, v.realm, id, r)
		return err
	})
	return c, err
}

// CanSign says whether the vendor signs requests itself.
func (v *Vendor) CanSign() bool {
	if v.inst == nil {
		return false
	}
	return v.inst.can(sdk.AbilityRequestSigner)
}

// Sign signs a request to a connection of the realm, see [sdk.RequestSigner].
func (v *Vendor) Sign(ctx context.Context, r sdk.SignRequest) (s sdk.SignedRequest, err error) {
	err = v.call(ctx, r.Connection, func(ctx context.Context, x *process, id uint64) (err error) {
		s, err = x.Sign(ctx, v.realm, id, r)
		return err
	})
	return s, err
}

func (v *Vendor) call(ctx context.Context, c sdk.Connection, f func(context.Context, *process, uint64) error) error {
	switch {
	case v.inst == nil:
		return errNoInstance
	case v.realm == "" || c.Realm != v.realm || !v.inst.in.serves(v.realm):
		return v.inst.foreign()
	}
	return v.ask(ctx, f)
}

// Resolver calls a secret resolver. It satisfies sdk.SecretResolver and sdk.SecretWriter; whether the resolver can write
// is in its offer.
type Resolver struct{ caller }

// Resolver binds a handle of a secret resolver.
func (s *Set) Resolver(h Handle) *Resolver {
	r := &Resolver{newCaller(h)}
	if r.inst != nil {
		r.guard(s, "secret store", r.inst.in.Setup.Store)
	}
	return r
}

// Resolve gives the value of a reference, see [sdk.SecretResolver].
func (r *Resolver) Resolve(ctx context.Context, ref sdk.SecretRef) (s sdk.Secret, err error) {
	err = r.ask(ctx, func(ctx context.Context, x *process, id uint64) (err error) {
		s, err = x.Resolve(ctx, id, ref)
		return err
	})
	return s, err
}

// WriteSecret keeps a value and gives its version, see [sdk.SecretWriter].
func (r *Resolver) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (version string, err error) {
	err = r.ask(ctx, func(ctx context.Context, x *process, id uint64) (err error) {
		version, err = x.WriteSecret(ctx, id, ref, value)
		return err
	})
	return version, err
}

// DeleteSecret deletes a value, see [sdk.SecretWriter].
func (r *Resolver) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	return r.ask(ctx, func(ctx context.Context, x *process, id uint64) error { return x.DeleteSecret(ctx, id, ref) })
}
