package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"
)

func leg(id uint64, size int) *pluginv1.Leg {
	return &pluginv1.Leg{Id: id, State: &pluginv1.State{Request: &pluginv1.Request{Token: strings.Repeat("x", size)}}}
}

func TestOutboxSendsWholeBatchesUnderTheBound(t *testing.T) {
	t.Parallel()
	const items = 100
	o := newOutbox()
	for id := range uint64(items) {
		if err := o.put(t.Context(), fieldLegs, leg(id, 60<<10)); err != nil {
			t.Fatal(err)
		}
	}
	o.push(fieldCancels, &pluginv1.Cancel{LegId: 7})
	var next, cancels uint64
	batches := 0
	err := o.pump(func(b []byte) error {
		if batches++; len(b) > maxBatch {
			t.Errorf("a batch of %d bytes", len(b))
		}
		m := &pluginv1.OpenRequest{}
		m.ProtoReflect().SetUnknown(b)
		wire, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		if err := proto.Unmarshal(wire, m); err != nil {
			return err
		}
		for _, l := range m.GetLegs() {
			if l.GetId() != next || len(l.GetState().GetRequest().GetToken()) != 60<<10 {
				t.Errorf("leg %d in place of %d", l.GetId(), next)
			}
			next++
		}
		if cancels += uint64(len(m.GetCancels())); cancels > 0 {
			o.close()
		}
		return nil
	})
	if err != nil || next != items || cancels != 1 || batches < 3 || batches > 6 {
		t.Errorf("%v: %d items and %d cancels in %d batches", err, next, cancels, batches)
	}
}

func TestOutboxRefusesLargeItems(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	var f *Failure
	if err := o.put(t.Context(), fieldLegs, leg(1, maxItem)); !errors.As(err, &f) || f.Code != CodeTooLarge || !strings.Contains(f.Message, "1048576") {
		t.Errorf("%v", err)
	}
	if err := o.put(t.Context(), fieldLegs, &pluginv1.Leg{Realm: "\xff"}); err == nil {
		t.Error("an item that cannot be encoded is taken")
	}
	if len(o.batches) != 0 {
		t.Error("a refused item is queued")
	}
	if err := o.put(t.Context(), fieldLegs, leg(1, maxItem-100)); err != nil {
		t.Errorf("a legal item: %v", err)
	}
}

func TestFullOutboxMakesWait(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	var err error
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	n := 0
	for ; err == nil; n++ {
		err = o.put(ctx, fieldLegs, leg(1, 1<<19))
	}
	if !errors.Is(err, context.DeadlineExceeded) || n < 10 || n > maxQueue>>19+1 {
		t.Errorf("%v after %d items", err, n)
	}
	var waiters sync.WaitGroup
	for range 5 {
		waiters.Go(func() {
			if err := o.put(t.Context(), fieldLegs, leg(1, 1<<19)); err != nil {
				t.Error(err)
			}
		})
	}
	for sent := 0; sent < n+4; { // all that were put and the five, without the one that was refused
		b := o.next()
		if b == nil {
			continue
		}
		m := &pluginv1.OpenRequest{}
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		sent += len(m.GetLegs())
	}
	waiters.Wait()
	o.close()
	for err = nil; err == nil; {
		err = o.put(t.Context(), fieldLegs, leg(1, 1<<19))
	}
	if !errors.Is(err, ErrLost) {
		t.Errorf("a closed box: %v", err)
	}
}
