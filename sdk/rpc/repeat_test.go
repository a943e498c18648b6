package rpc

import (
	"errors"
	"fmt"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
)

// What changes something, or gives something away, is never made twice.
func TestWhatMayBeRepeated(t *testing.T) {
	lost := fmt.Errorf("%w: x", ErrLost)
	for q, want := range map[proto.Message]bool{
		&pluginv1.IdentifyRequest{}: true, &pluginv1.MapPrincipalRequest{}: true, &pluginv1.MapRolesRequest{}: true, &pluginv1.AuthenticateRequest{}: true,
		&pluginv1.ActiveRolesRequest{}: true, &pluginv1.VerifyRequest{}: true, &pluginv1.KeysRequest{}: true, &pluginv1.ResolveRequest{}: true,
		&pluginv1.IssueRequest{}: false, &pluginv1.VendRequest{}: false, &pluginv1.SignRequest{}: false,
		&pluginv1.WriteSecretRequest{}: false, &pluginv1.DeleteSecretRequest{}: false, &pluginv1.ConfigureRequest{}: false, &pluginv1.ReleaseRequest{}: false,
	} {
		got := orRepeat(lost, q)
		if errors.Is(got, ErrRepeatable) != want || !errors.Is(got, ErrLost) || got.Error() != lost.Error() {
			t.Errorf("%T: %v", q, got)
		}
		if _, identify := q.(*pluginv1.IdentifyRequest); errors.Is(got, ErrNoEffect) != (want && !identify) {
			t.Errorf("%T: %v on the same process", q, got)
		}
		if other := errors.New("x"); !errors.Is(orRepeat(other, q), other) || errors.Is(orRepeat(other, q), ErrRepeatable) {
			t.Errorf("%T: an answer may be asked for again", q)
		}
	}
	for k := sdk.Kind(1); k <= sdk.KindTokenBroker; k++ {
		_, isStep := stepRequests[k]
		if got := errors.Is(orRepeatSteps(lost, []Step{{Kind: k}}), ErrRepeatable); got != isStep {
			t.Errorf("a leg of %v: %v", k, got)
		}
	}
	if err := orRepeatSteps(lost, []Step{{Kind: sdk.KindPrincipalMapper}, {Kind: sdk.KindIdentityProvider}}); errors.Is(err, ErrNoEffect) || !errors.Is(err, ErrRepeatable) {
		t.Errorf("a leg with a step that has effects: %v", err)
	}
	if errors.Is(orRepeatSteps(lost, []Step{{Kind: sdk.KindIdentityProvider}, {Kind: sdk.KindCredentialVendor}}), ErrRepeatable) {
		t.Error("a leg with what is no step of a decision may be repeated")
	}
}
