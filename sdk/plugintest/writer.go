package plugintest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

// checkWriter: what is written can be read, by versions where there are any, until it is deleted; and no other store sees
// anything of it.
func checkWriter(ctx context.Context, s *suite, c Case) error {
	if c.Elsewhere == "" {
		return lack("the case has no Elsewhere, the settings of another store that must not see what is written to this one")
	}
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(
		checkVersions(ctx, s, i), checkDelete(ctx, s, i), checkConcurrentWrites(ctx, s, i), checkElsewhere(ctx, s, c, i),
		s.release(ctx, i),
	)
}

// place gives a reference into an instance's store that nothing was written to.
func (i *Instance) place() string {
	return "urn:realmgate-secret:" + i.store() + ":plugintest/" + rand.Text()
}

func (i *Instance) store() string {
	if i.c.Setup.Store == "" {
		return "store"
	}
	return i.c.Setup.Store
}

// write keeps a value that the output of the plugin must not repeat.
func (s *suite) write(ctx context.Context, i *Instance, at, value string) (string, error) {
	s.notes.confide("a secret that was written", value)
	ref, err := sdk.ParseSecretRef(at)
	if err != nil {
		return "", err
	}
	version, err := i.WriteSecret(ctx, ref, []byte(value))
	if err != nil {
		return "", fmt.Errorf("write: %w", err)
	}
	return version, nil
}

func (i *Instance) remove(ctx context.Context, at string) error {
	ref, err := sdk.ParseSecretRef(at)
	if err != nil {
		return err
	}
	if err := i.DeleteSecret(ctx, ref); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

func (i *Instance) reads(ctx context.Context, what, at, want string) error {
	ref, err := sdk.ParseSecretRef(at)
	if err != nil {
		return err
	}
	v, err := i.Resolve(ctx, ref)
	if err == nil && string(v.Reveal()) != want {
		err = errors.New("another value is answered")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (i *Instance) readsNothing(ctx context.Context, what, at string) error {
	ref, err := sdk.ParseSecretRef(at)
	if err != nil {
		return err
	}
	_, err = i.Resolve(ctx, ref)
	return wantFailure(what, err)
}

func checkVersions(ctx context.Context, s *suite, i *Instance) error {
	at := i.place()
	one, two := "one "+rand.Text(), "two\n\x00\xff"+rand.Text()+"\n" // every byte counts
	first, err1 := s.write(ctx, i, at, one)
	err2 := i.reads(ctx, "what was written", at, one)
	second, err3 := s.write(ctx, i, at, two)
	if err3 != nil { // a store may hold text only, if it says so
		two = " two\n\u00fc" + rand.Text() + "\n"
		second, err3 = s.write(ctx, i, at, two)
	}
	faults := errors.Join(err1, err2, err3, i.reads(ctx, "what was written over it", at, two))
	if faults != nil {
		return faults
	}
	if (first == "") != (second == "") || first != "" && first == second {
		return fmt.Errorf("the versions of two writes are %q and %q", first, second)
	}
	for version, want := range map[string]string{first: one, second: two} {
		if version == "" {
			continue
		}
		faults = errors.Join(faults, i.reads(ctx, "version "+version, at+"?=version="+version, want),
			i.readsNothing(ctx, "a version in the path, which gives a secret two of them,", at+":"+version))
		if n, err := strconv.ParseUint(version, 10, 64); err == nil {
			faults = errors.Join(faults, i.readsNothing(ctx, "a version that was never written", at+"?=version="+strconv.FormatUint(n+1000, 10)))
		}
	}
	return errors.Join(faults, i.remove(ctx, at))
}

func checkDelete(ctx context.Context, s *suite, i *Instance) error {
	at := i.place()
	version, err := s.write(ctx, i, at, rand.Text())
	faults := errors.Join(err, i.remove(ctx, at), i.readsNothing(ctx, "what was deleted", at))
	if version != "" {
		faults = errors.Join(faults, i.readsNothing(ctx, "a version of what was deleted", at+"?=version="+version))
	}
	return errors.Join(faults, i.remove(ctx, at), i.remove(ctx, i.place()))
}

// checkConcurrentWrites: of many writes at a time one wins as a whole, and each is a version of its own where there are any.
func checkConcurrentWrites(ctx context.Context, s *suite, i *Instance) error {
	const writers = 8
	at := i.place()
	values, versions, errs := make([]string, writers), make([]string, writers), make([]error, writers)
	var wg sync.WaitGroup
	for n := range writers {
		values[n] = rand.Text()
		wg.Go(func() { versions[n], errs[n] = s.write(ctx, i, at, values[n]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("writes at the same time: %w", err)
	}
	ref, err := sdk.ParseSecretRef(at)
	if err != nil {
		return err
	}
	v, err := i.Resolve(ctx, ref)
	if err != nil {
		return fmt.Errorf("after writes at the same time: %w", err)
	}
	last, seen := false, map[string]bool{}
	for n := range writers {
		last = last || values[n] == string(v.Reveal())
		if versions[n] != "" && seen[versions[n]] {
			return fmt.Errorf("two writes at the same time have the version %s", versions[n])
		}
		seen[versions[n]] = true
	}
	if !last {
		return errors.New("after writes at the same time the value is none of those that were written")
	}
	return i.remove(ctx, at)
}

// checkElsewhere: what one store holds, another one neither reads nor changes.
func checkElsewhere(ctx context.Context, s *suite, c Case, here *Instance) error {
	other := c
	other.Settings, other.Setup.Store = c.Elsewhere, here.store()+"-elsewhere"
	there, err := s.instance(ctx, other)
	if err != nil {
		return fmt.Errorf("another store: %w", err)
	}
	path := "plugintest/" + rand.Text()
	inHere, inThere := "urn:realmgate-secret:"+here.store()+":"+path, "urn:realmgate-secret:"+there.store()+":"+path
	value := rand.Text()
	_, err = s.write(ctx, here, inHere, value)
	faults := errors.Join(err, there.readsNothing(ctx, "what was written to another store", inThere))
	_, err = s.write(ctx, there, inThere, rand.Text())
	faults = errors.Join(faults, err, here.reads(ctx, "after a write to another store", inHere, value))
	faults = errors.Join(faults, there.remove(ctx, inThere), here.reads(ctx, "after a deletion in another store", inHere, value))
	return errors.Join(faults, here.remove(ctx, inHere), s.release(ctx, there))
}
