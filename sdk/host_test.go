package sdk

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestNothingIsKnownOfACall(t *testing.T) {
	t.Parallel()
	ref, err := ParseSecretRef("urn:realmgate-secret:s:p")
	if err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{"none": t.Context(), "unimplemented": WithCall(t.Context(), UnimplementedCall{})} {
		if Realm(ctx) != "" || Epoch(ctx) != 0 || RequestID(ctx) != "" || TraceID(ctx) != "" {
			t.Errorf("%s: something is known", name)
		}
		Logger(ctx).Info("nowhere")
		_, err1 := FindPrincipal(ctx, PrincipalRef{Name: "x"})
		_, err2 := FindAccessKey(ctx, "x")
		_, err3 := ref.Value(ctx)
		for _, err := range []error{err1, err2, err3} {
			if err == nil || AsDenial(err) != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// saysNo is a Host that answers everything with an error.
type saysNo struct{ err error }

func (h saysNo) FindPrincipal(context.Context, PrincipalRef) (Principal, error) {
	return Principal{}, h.err
}
func (h saysNo) FindAccessKey(context.Context, string) (AccessKey, error) {
	return AccessKey{}, h.err
}
func (h saysNo) ResolveSecret(context.Context, SecretRef) (Secret, error) { return Secret{}, h.err }

func TestWhatAHostMayDeny(t *testing.T) {
	t.Parallel()
	ref, err := ParseSecretRef("urn:realmgate-secret:s:p")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for _, c := range []struct {
		err                 error
		find, resolve       bool // is a denial
		findSame, valueSame bool // comes as it is
	}{
		{Forbid("principal_unknown", "nobody"), true, false, true, false},
		{NotMine(), false, false, false, false},
		{errors.Join(broken, NotMine()), false, false, false, false},
		{broken, false, false, true, true},
	} {
		ctx := WithHost(t.Context(), saysNo{c.err})
		_, err := FindPrincipal(ctx, PrincipalRef{})
		if err == nil || (AsDenial(err) != nil) != c.find || errors.Is(err, c.err) != c.findSame {
			t.Errorf("%v: the look-up gives %v", c.err, err)
		}
		_, err = FindAccessKey(ctx, "k")
		if err == nil || (AsDenial(err) != nil) != c.find || errors.Is(err, c.err) != c.findSame {
			t.Errorf("%v: the look-up of a key gives %v", c.err, err)
		}
		_, err = ref.Value(ctx)
		if err == nil || (AsDenial(err) != nil) != c.resolve || errors.Is(err, c.err) != c.valueSame {
			t.Errorf("%v: the secret gives %v", c.err, err)
		}
	}
}

func TestSecretReferencesAreBounded(t *testing.T) {
	t.Parallel()
	const start = "urn:realmgate-secret:s:"
	long := start + strings.Repeat("x", maxSecretRef-len(start))
	if _, err := ParseSecretRef(long); err != nil {
		t.Error(err)
	}
	if _, err := ParseSecretRef(long + "x"); err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("a reference over the bound: %.100v", err)
	}
}
