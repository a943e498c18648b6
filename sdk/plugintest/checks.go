package plugintest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// callers is how many goroutines call at the same time.
const callers = 64

// endsWithin is how long a plugin may be at work on a call that was given up.
const endsWithin = 5 * time.Second

// check is one thing that the contract asks for.
type check struct {
	name string
	did  string                  // what the suite does, a sentence without a subject
	rule string                  // what the contract says
	of   func(*suite, Case) bool // whether the case is concerned; nil: it is
	run  func(context.Context, *suite, Case) error
	raw  bool // it needs no settings that are taken
}

// lacks says that a check cannot be made, and what for.
type lacks struct {
	what   string
	unseen bool // more than the case would have to be another: a test goes on without it
}

// Error says what is missing.
func (l *lacks) Error() string { return l.what }

func lack(format string, args ...any) error { return &lacks{what: fmt.Sprintf(format, args...)} }

// unseen says of what a check is for that it does not show here.
func unseen(what string) error { return &lacks{what, true} }

// unseenOnly says whether a test may go on with an error of a check.
func unseenOnly(err error) bool {
	var l *lacks
	return lacksOnly(err) && errors.As(err, &l) && l.unseen
}

// lacksOnly says whether nothing else is in an error than that checks cannot be made: what is joined with it is a fault.
func lacksOnly(err error) bool {
	switch x := err.(type) { //nolint:errorlint // it walks the chain itself
	case *lacks:
		return true
	case interface{ Unwrap() error }:
		return x.Unwrap() != nil && lacksOnly(x.Unwrap())
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(x.Unwrap(), func(e error) bool { return !lacksOnly(e) })
	}
	return false
}

// unable says of a call of the suite's own that failed what it is: a fault of the plugin, or that it cannot be made here.
func unable(err error, format string, args ...any) error {
	if fault := (&Case{tolerant: true}).judge(err); fault != nil {
		return fault
	}
	return lack(format, args...)
}

// checks are run in turn on every case.
var checks = []check{
	{name: "call", did: "configured the case and made its call", rule: "settings that are right are taken, and a call is answered, denied or failed, in time", run: checkCall},
	{name: "unknown key", did: "configured the case with one key more, and called it", rule: "settings are strict: an unknown key is an error at its place, and the instance does not come to be", run: checkUnknownKey, raw: true},
	{name: "settings that are no object", did: "configured settings that are a list, a text, or no JSON", rule: "settings are a JSON object; everything else is an error diagnostic, not a crash", run: checkNoObject, raw: true},
	{
		name: "settings schema", did: "left each required key out, gave each key a value of another type, and compared the case's settings with the schema",
		rule: "the settings schema of the manifest says what Configure takes: no other keys, all that are required, values of their types", run: checkSchema,
	},
	{name: "large settings", did: "configured the case with a key of 900 KiB", rule: "an item of up to 1 MiB is taken: what is wrong with it is a diagnostic", run: checkLargeSettings, raw: true},
	{name: "life", did: "used an instance id twice, released the instance twice, called it afterwards, and configured another one", rule: "an id is taken once, Release is final and may be repeated, and a call of an instance that is not there is a failure, never a denial", run: checkLife},
	{name: "wrong kind", did: "called the instance as one of another kind", rule: "an instance answers for its own kind only; anything else is a failure", run: checkWrongKind},
	{name: "concurrency", did: fmt.Sprintf("made %d calls at the same time", callers), rule: "methods run concurrently", run: checkConcurrency},
	{name: "cancellation", did: "gave calls up before they began and while they ran", rule: "a call that was given up ends in the plugin, too, and is never denied; the next one is answered", run: checkCancellation},
	{name: "deadline", did: "made calls with deadlines that were over or too short", rule: "a call ends with its deadline, and is never denied for it; the next one is answered", run: checkDeadline},
	{name: "two instances", did: "configured the case twice, and with other settings beside it where the schema has some, and called all by turns", rule: "instances do not depend on each other, nor on which ones there were before: what is kept is kept in the instance", run: checkTwo},
	{name: "explanation", did: "made the call as one that is explained to an operator", rule: "an explanation changes no answer, and its notes have no secret", of: takesLegs, run: checkExplained},
	{name: "odd input", did: "sent input that is empty, huge, no UTF-8, no JSON, deeply nested, or made up", rule: "whatever comes in, the part answers, denies or fails; it neither panics nor ends, and accepts nothing that it should not", run: checkOdd},
	{name: "unary services", did: "made the calls above on the unary services, too", rule: "a stage answers, denies and fails alike, whether it is called on the session or on the service of its kind", of: takesLegs, run: checkUnary},
	{name: "identities side by side", did: "mapped two identities, also of one subject with different claims, in both orders, and many times at once", rule: "what is answered depends on the input of the call alone", of: ofKinds(sdk.KindPrincipalMapper, sdk.KindPrincipalRolesMapper), run: checkMixed},
	{name: "the same question twice", did: "made the call with each question asked twice, the second time from another peer", rule: "a stage that says that it is cacheable answers the same question with the same answer, whoever asks and however often", of: isCacheable, run: checkTwice},
	{name: "realms side by side", did: "configured the part for two realms in which one id belongs to two principals, and authenticated in both by turns", rule: "a principal is one of the realm that the instance was configured for, and the one that was asked for", of: ofKinds(sdk.KindAuthenticator), run: checkRealms},
	{name: "a directory that changes", did: "changed and removed what the host knows of principals and access keys, moved the epoch, and asked again", rule: "what is remembered of the directory is of one epoch of the realm (sdk.Epoch), and no longer told when it has moved", of: asksDirectory, run: checkMemory},
	{name: "tokens", did: "issued a token, verified it, damaged it, and showed it to an instance of another realm", rule: "a token carries realm, issuer, audience, token id and secret version of its grant, lives no longer, and is good in its own realm only", of: ofKinds(sdk.KindTokenBroker), run: checkTokens},
	{name: "published keys", did: "asked for the keys", rule: "a key publisher answers a JWK set (RFC 7517) with public keys only, and until when it may be kept", of: able(sdk.AbilityKeyPublisher), run: checkKeys},
	{name: "credentials", did: "asked for credentials, for limited ones, and without the secrets that they need", rule: "credentials are some and live, limited ones are other ones, and a secret that cannot be had makes a failure", of: ofKinds(sdk.KindCredentialVendor), run: checkVend},
	{name: "signatures", did: "had a request signed, with one more header, with an old signature, and as a URL", rule: "the signed request is the one that was asked about, with all of its headers, to the same host and path", of: able(sdk.AbilityRequestSigner), run: checkSign},
	{name: "written secrets", did: "wrote, read and deleted secrets, at the same time too, and looked for them in another store", rule: "what is written is read byte by byte until it is deleted, by versions where there are any, and no other store sees it", of: able(sdk.AbilitySecretWriter), run: checkWriter},
	{name: "whether it can work", did: "asked whether it could do its work now", rule: fmt.Sprintf("Check answers within %v, also that something is missing", checkerTime), of: able(sdk.AbilityChecker), run: checkChecker},
}

func ofKinds(kinds ...sdk.Kind) func(*suite, Case) bool {
	return func(_ *suite, c Case) bool { return slices.Contains(kinds, c.Kind) }
}

func able(a sdk.Ability) func(*suite, Case) bool {
	return func(s *suite, c Case) bool { return s.offers(c, a) }
}

// checkCall also finds out how far a case without a call of its own can be judged.
func checkCall(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	err = c.Call(ctx, i)
	if fault := c.judge(err); fault != nil {
		if c.standIns && !c.tolerant {
			fault = fmt.Errorf("%w (it has made-up secrets, for references in its settings whose values the case does not give)", fault)
		}
		return errors.Join(fault, s.release(ctx, i))
	}
	if err := s.release(ctx, i); err != nil {
		return err
	}
	if err != nil && sdk.AsDenial(err) == nil && c.Kind != sdk.KindSecretResolver { // there the failure is the right answer
		return lack("it fails, which may be right where it cannot reach what it needs: %v; give a case in which it works", err)
	}
	return nil
}

// checkExplained: who explains answers as ever. What the notes have in them is looked at with all that the plugin tells.
func checkExplained(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	i.explained = true
	return errors.Join(c.works(ctx, i), s.release(ctx, i))
}

// checkUnknownKey: a mistyped key is a fault at the key, and the instance does not come to be.
func checkUnknownKey(ctx context.Context, s *suite, c Case) error {
	const key = "key_that_is_not_known"
	settings, err := c.with(key, []byte(`1`))
	if err != nil {
		return err
	}
	i, ds, err := s.configure(ctx, c, settings)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ds, func(d rpc.Diagnostic) bool { return isFault(d) && d.Path == "/"+key }) {
		return fmt.Errorf("an unknown key gives no fault at /%s; its faults: %s", key, cmp.Or(faults(ds), "none"))
	}
	return wantFailure("a call of an instance whose settings were refused", c.Call(ctx, i))
}

func checkNoObject(ctx context.Context, s *suite, c Case) error {
	for _, settings := range []string{`[]`, `null`, `"x"`, `{`, `{} {}`, "\xff"} {
		_, ds, err := s.configure(ctx, c, settings)
		if err != nil {
			return fmt.Errorf("settings %q: %w", settings, err)
		}
		if settings != `null` && !slices.ContainsFunc(ds, isFault) {
			return fmt.Errorf("settings %q are taken", settings)
		}
	}
	return nil
}

// checkLife: releasing is final and may be repeated; an instance that is not there is our mistake, never the caller's.
func checkLife(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	again, err := s.process.Configure(ctx, []rpc.Instance{{ID: i.id, Kind: c.Kind, Type: c.Type, Settings: []byte(c.settings()), Setup: c.Setup}})
	if err == nil && !slices.ContainsFunc(again, isFault) {
		return errors.New("an instance id is taken twice")
	}
	if err := c.works(ctx, i); err != nil {
		return fmt.Errorf("after its id was refused to another instance: %w", err)
	}
	for range 2 {
		if err := s.release(ctx, i); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	if err := wantFailure("a call of a released instance", c.Call(ctx, i)); err != nil {
		return err
	}
	fresh, err := s.instance(ctx, c)
	if err != nil {
		return fmt.Errorf("configured once more: %w", err)
	}
	return errors.Join(c.works(ctx, fresh), s.release(ctx, fresh))
}

// checkWrongKind: an instance answers for its own kind only.
func checkWrongKind(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	wrong := Case{Kind: sdk.KindPrincipalMapper}
	if c.Kind == wrong.Kind {
		wrong.Kind = sdk.KindPrincipalRolesMapper
	}
	st := sdk.State{Request: &sdk.Request{}, Identity: &sdk.Identity{}}
	err = (&Instance{process: s.process, suite: s, id: i.id, c: &wrong}).Step(ctx, &st)
	return errors.Join(wantFailure("a call as another kind", err), s.release(ctx, i))
}

func checkConcurrency(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = c.works(ctx, i) })
	}
	wg.Wait()
	return errors.Join(distinct(errs), s.release(ctx, i))
}

// checkCancellation: a caller that goes away is told so, the work for it ends, and nobody else notices.
func checkCancellation(ctx context.Context, s *suite, c Case) error {
	return s.checkGivenUp(ctx, c, "a call that was given up", func(after time.Duration) (context.Context, context.CancelFunc) {
		gone, cancel := context.WithCancel(ctx)
		if after <= 0 {
			cancel()
		}
		timer := time.AfterFunc(after, cancel)
		return gone, func() { timer.Stop(); cancel() }
	})
}

// checkDeadline: the same holds for a call that takes too long.
func checkDeadline(ctx context.Context, s *suite, c Case) error {
	return s.checkGivenUp(ctx, c, "a call behind its deadline", func(after time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, after)
	})
}

// checkGivenUp gives calls up before they begin and at moments at which the plugin may be at work on them. A stage is seen
// to end in the plugin; of the other services only the host's side is seen.
func (s *suite) checkGivenUp(ctx context.Context, c Case, what string, until func(time.Duration) (context.Context, context.CancelFunc)) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	for _, after := range []time.Duration{-time.Second, 50 * time.Microsecond, 200 * time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
		late, cancel := until(after)
		err := c.Call(late, i)
		gaveUp := late.Err() != nil
		cancel()
		if gaveUp && err != nil && (!c.tolerant || sdk.AsDenial(err) == nil) { // the answer may have been in time
			if err := wantFailure(what, err); err != nil {
				return err
			}
		}
	}
	for began := time.Now(); s.process.Stuck(0, i.id) > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > endsWithin {
			return fmt.Errorf("%s goes on in the plugin for more than %v", what, endsWithin)
		}
	}
	return errors.Join(c.works(ctx, i), s.release(ctx, i))
}

// wantFailure wants an error that is no denial.
func wantFailure(what string, err error) error {
	var f *finding
	switch {
	case err == nil, errors.As(err, &f):
		return fmt.Errorf("%s succeeds", what)
	case sdk.AsDenial(err) != nil:
		return fmt.Errorf("%s is denied (%w); a denial says that the caller is at fault", what, err)
	}
	return nil
}

// distinct joins errors, each text once.
func distinct(errs []error) error {
	var out []error
	for _, err := range errs {
		if err != nil && !slices.ContainsFunc(out, func(o error) bool { return o.Error() == err.Error() }) {
			out = append(out, err)
		}
	}
	return errors.Join(out...)
}
