package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// keyReader answers what it finds out about the access key that a token names.
func keyReader() *fake {
	return &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
		k, err := sdk.FindAccessKey(ctx, r.Token)
		if err != nil {
			return sdk.Identity{}, err
		}
		return sdk.Identity{Subject: fmt.Sprint(k.ID, k.Principal, k.Enabled, k.Secret)}, nil
	}}
}

func TestAccessKeys(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		var asked atomic.Int32
		h := &fakeHost{findKey: func(_ context.Context, c Caller, id string) (sdk.AccessKey, error) {
			asked.Add(1)
			if want := (Caller{Instance: 1, Realm: "realm1", RequestID: "q"}); !reflect.DeepEqual(c, want) {
				t.Errorf("caller %+v", c)
			}
			k := sdk.AccessKey{ID: id, Principal: sdk.PrincipalRef{ID: "7", Name: "alice"}, Enabled: true, Secret: mustRef(t, "urn:realmgate-secret:s:k")}
			switch id {
			case "unknown":
				return sdk.AccessKey{}, sdk.Deny("access_key_unknown", "no such key")
			case "not mine":
				return sdk.AccessKey{}, sdk.NotMine()
			case "down":
				return sdk.AccessKey{}, errors.New("down")
			case "without secret":
				k.Secret = sdk.SecretRef{}
			case "another":
				k.ID = "other"
			}
			return k, nil
		}}
		p := startFake(t, keyReader(), h, unary)
		for _, c := range []struct{ id, want, denial, failure string }{
			{id: "k1", want: "k1{7 alice} true urn:realmgate-secret:s:k"},
			{id: "unknown", denial: "access_key_unknown"},
			{id: "", denial: "access_key_unknown"},
			{id: strings.Repeat("x", maxKeyID+1), denial: "access_key_unknown"},
			{id: "not mine", failure: "denied: not_mine"},
			{id: "down", failure: "down"},
			{id: "without secret", failure: "the secret of an access key"},
			{id: "another", failure: "another access key"},
		} {
			before := asked.Load()
			st := request(c.id)
			err := p.Run(sdk.WithRequestID(t.Context(), "q"), "realm1", external[:1], st)
			d := sdk.AsDenial(err)
			switch {
			case c.want != "" && (err != nil || st.Identity.Subject != c.want):
				t.Errorf("%.20s: %v %+v", c.id, err, st.Identity)
			case c.denial != "" && (d == nil || d.Reason != c.denial || d.Forbidden):
				t.Errorf("%.20s: %v, want a denial %s", c.id, err, c.denial)
			case c.failure != "" && (err == nil || d != nil || !strings.Contains(err.Error(), c.failure)):
				t.Errorf("%.20s: %v, want a failure %q", c.id, err, c.failure)
			}
			if wellFormed := c.id != "" && len(c.id) <= maxKeyID; (asked.Load() != before) != wellFormed {
				t.Errorf("%.20s: the host was asked: %v", c.id, asked.Load() != before)
			}
		}
	})
}

func TestAccessKeysAreRememberedForAnEpoch(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		var asked atomic.Int32
		h := &fakeHost{findKey: func(_ context.Context, c Caller, id string) (sdk.AccessKey, error) {
			asked.Add(1)
			k := sdk.AccessKey{ID: id, Principal: sdk.PrincipalRef{Name: c.Realm}, Secret: mustRef(t, "urn:realmgate-secret:s:k")}
			if id == "large" {
				k.Principal.ID = strings.Repeat("x", maxKnownBytes)
			}
			return k, nil
		}}
		p := startFake(t, keyReader(), h, unary)
		for i, c := range []struct {
			epoch uint64
			realm string
			id    string
			want  int32
		}{
			{0, "realm1", "1", 1}, {0, "realm1", "1", 2}, // never remembered
			{5, "realm1", "1", 3}, {5, "realm1", "1", 3},
			{5, "realm2", "1", 4}, {5, "realm1", "2", 5}, // another realm, another key
			{6, "realm1", "1", 6}, {6, "realm1", "1", 6}, // a moved epoch
			{6, "realm1", "large", 7}, {6, "realm1", "large", 8}, // over the bound
		} {
			h.epoch.Store(c.epoch)
			st := request(c.id)
			if err := p.Run(t.Context(), c.realm, external[:1], st); err != nil || !strings.Contains(st.Identity.Subject, c.realm) {
				t.Errorf("%d: %v %+v", i, err, st.Identity)
			}
			if n := asked.Load(); n != c.want {
				t.Errorf("%d: asked %d times, want %d", i, n, c.want)
			}
		}
	})
}

// A plugin does not ask a host that has not said that it would answer; and a host whose contract has no such call would
// say so too.
func TestAccessKeysOfAnOlderHost(t *testing.T) {
	t.Parallel()
	h := &fakeHost{findKey: func(context.Context, Caller, string) (sdk.AccessKey, error) {
		t.Error("the host was asked")
		return sdk.AccessKey{}, nil
	}}
	pl, p := startPlugin(t, &Server{Implementations: keyReader().offers()}, h)
	configureFake(t, p)
	if _, err := pl.Describe(t.Context(), &pluginv1.DescribeRequest{HostVersion: "old"}); err != nil {
		t.Fatal(err)
	}
	err := p.Run(t.Context(), "realm1", external[:1], request("k1"))
	var f *Failure
	if !errors.As(err, &f) || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "the feature access-keys") {
		t.Errorf("%v", err)
	}
}
