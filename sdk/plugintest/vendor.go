package plugintest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// implicit is the one authentication type whose connections need no credentials.
const implicit = "IMPLICIT"

// checkVend: a vendor gives credentials that are some and that live, or it says why not; never does it give nothing.
func checkVend(ctx context.Context, s *suite, c Case) error {
	if c.Vend == nil {
		return lack("the case has no Vend, which the suite asks a credential vendor with")
	}
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	got, err := i.Vend(ctx, *c.Vend)
	if err != nil {
		return fmt.Errorf("the case's request: %w", err)
	}
	faults := []error{soundCredentials(got, c.Vend.Connection.AuthenticationType), checkNarrowing(ctx, i, c, got)}
	faults = append(faults, s.checkWithoutSecrets(ctx, c, func(i *Instance) error {
		_, err := i.Vend(ctx, *c.Vend)
		return err
	}))
	return errors.Join(append(faults, s.release(ctx, i))...)
}

func soundCredentials(got sdk.ConnectionCredentials, authentication string) error {
	if len(got.Properties) == 0 && authentication != implicit {
		return fmt.Errorf("a connection of the type %s gets credentials without a property, which only %s may", authentication, implicit)
	}
	for name, v := range got.Properties {
		if name == "" || len(v.Reveal()) == 0 {
			return fmt.Errorf("the property %q is empty", name)
		}
	}
	if !got.Expires.IsZero() && !time.Now().Before(got.Expires) {
		return fmt.Errorf("the credentials expired at %v", got.Expires)
	}
	return nil
}

// checkNarrowing: credentials that are to be limited are other ones, or there are none. Of a vendor whose credentials are other ones
// each time only the case can say whether they are limited.
func checkNarrowing(ctx context.Context, i *Instance, c Case, whole sdk.ConnectionCredentials) error {
	again, err := i.Vend(ctx, *c.Vend)
	if err != nil {
		return fmt.Errorf("the case's request, once more: %w", err)
	}
	r := *c.Vend
	r.NarrowTo = []string{"s3://plugintest-narrowed/to/this/"}
	got, err := i.Vend(ctx, r)
	same := func(a, b sdk.Secret) bool { return string(a.Reveal()) == string(b.Reveal()) }
	switch {
	case err != nil || len(whole.Properties) == 0:
		return nil
	case c.Narrowed != nil:
		if err := c.Narrowed(ctx, r, got); err != nil {
			return fmt.Errorf("credentials that are to be limited to %q: %w", r.NarrowTo, err)
		}
	case !maps.EqualFunc(again.Properties, whole.Properties, same):
		return unseen("its credentials are other ones each time, so that it does not show whether limited ones are limited: give a case with Narrowed, which says so")
	case maps.EqualFunc(got.Properties, whole.Properties, same):
		return errors.New("a request for limited credentials is answered with the very ones that are not limited")
	}
	return nil
}

// checkWithoutSecrets: what needs a secret that cannot be had is not available, and nobody is denied anything.
func (s *suite) checkWithoutSecrets(ctx context.Context, c Case, call func(*Instance) error) error {
	if len(c.Secrets) == 0 {
		return nil
	}
	c.Secrets = nil
	i, ds, err := s.configure(ctx, c, c.settings())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(ds, isFault) { // it needs them to come to be
		return nil
	}
	return errors.Join(wantFailure("a call without the case's secrets", call(i)), s.release(ctx, i))
}

// checkSign: a signed request is the one that was to be signed, and can be sent.
func checkSign(ctx context.Context, s *suite, c Case) error {
	if c.Sign == nil {
		return lack("the case has no Sign, which the suite asks a request signer with")
	}
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	got, err := i.Sign(ctx, *c.Sign)
	if err != nil {
		return fmt.Errorf("the case's request: %w", err)
	}
	faults := []error{soundSignature(got, c.Sign.HTTP), checkAllHeaders(ctx, i, *c.Sign)}
	presign := *c.Sign
	presign.Presign, presign.Lifetime = true, time.Minute
	if got, err := i.Sign(ctx, presign); err == nil {
		faults = append(faults, soundSignature(got, c.Sign.HTTP))
	}
	faults = append(faults, s.checkWithoutSecrets(ctx, c, func(i *Instance) error {
		_, err := i.Sign(ctx, *c.Sign)
		return err
	}))
	return errors.Join(append(faults, s.release(ctx, i))...)
}

// checkAllHeaders: what is answered is all that has to be sent, and no credential that the request had before.
func checkAllHeaders(ctx context.Context, i *Instance, r sdk.SignRequest) error {
	r.Presign, r.Lifetime = false, 0
	own := sdk.Header{Name: "x-plugintest", Value: "kept"}
	r.HTTP.Header = append(slices.Clone(r.HTTP.Header), own)
	got, err := i.Sign(ctx, r)
	if sdk.AsDenial(err) != nil { // it signs URLs only
		return nil
	}
	if err != nil {
		return fmt.Errorf("the case's request with one more header: %w", err)
	}
	if !slices.Contains(got.Header, own) {
		return errors.New("the signed request lacks a header of the request: the answer has all that are to be sent")
	}
	stale := sdk.Header{Name: "authorization", Value: "plugintest-stale"}
	r.HTTP.Header = append(r.HTTP.Header, stale)
	if got, err = i.Sign(ctx, r); err == nil && slices.Contains(got.Header, stale) {
		return errors.New("the signed request has the authorization that the request had before")
	}
	return nil
}

func soundSignature(got sdk.SignedRequest, of sdk.HTTPMessage) error {
	u, err := url.Parse(got.URL)
	path, _, _ := strings.Cut(of.RawTarget, "?")
	switch {
	case err != nil:
		return errors.New("the URL of the signed request is none")
	case u.Scheme != of.Scheme || u.Host != of.Host || u.User != nil:
		return fmt.Errorf("a request to %s://%s is signed as one to %s://%s", of.Scheme, of.Host, u.Scheme, u.Host)
	case u.EscapedPath() != path:
		return errors.New("the path of the signed request is another one")
	case !got.Expires.IsZero() && !time.Now().Before(got.Expires):
		return fmt.Errorf("the signature expired at %v", got.Expires)
	}
	for _, h := range got.Header {
		if h.Name == "" || h.Name != strings.ToLower(h.Name) || strings.ContainsAny(h.Name+h.Value, "\r\n\x00") {
			return fmt.Errorf("the header %q of the signed request is none: names are in lower case, values on one line", h.Name)
		}
	}
	return nil
}
