package rpc

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// outbox gathers what many goroutines want to send on a stream; one goroutine sends it, in few messages.
//
// Items are encoded when they are put: an item that cannot be encoded (a string that is not UTF-8) or is too large fails
// alone and not the batch that it would have been part of, and the work is not left to the one goroutine that sends.
type outbox struct {
	mu      sync.Mutex
	batches [][]byte // encoded OpenRequests or OpenResponses without an end
	bytes   int
	room    chan struct{} // closed when bytes shrink; nil if nobody waits
	wake    chan struct{}
	done    chan struct{}
	once    sync.Once
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// put queues an item for a repeated field of the message; it waits for room until ctx ends or the box is closed.
func (o *outbox) put(ctx context.Context, field protowire.Number, item proto.Message) error {
	b, err := encode(field, item)
	if err != nil {
		return err
	}
	for {
		room, ok := o.add(b, maxQueue)
		if ok {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return givenUp(ctx)
		case <-o.done:
			return ErrLost
		}
	}
}

// push queues a small item that must not wait.
func (o *outbox) push(field protowire.Number, item proto.Message) {
	if b, err := encode(field, item); err == nil {
		o.add(b, 2*maxQueue)
	}
}

func encode(field protowire.Number, item proto.Message) ([]byte, error) {
	n := proto.Size(item)
	if n > maxItem {
		return nil, tooLarge(n)
	}
	b := protowire.AppendTag(make([]byte, 0, n+8), field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, item)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return b, nil
}

func (o *outbox) add(b []byte, limit int) (room <-chan struct{}, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes+len(b) > limit {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		return o.room, false
	}
	o.bytes += len(b)
	if last := len(o.batches) - 1; last >= 0 && len(o.batches[last])+len(b) <= maxBatch {
		o.batches[last] = append(o.batches[last], b...)
	} else {
		o.batches = append(o.batches, b)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil, true
}

// pump sends until the box is closed or send fails.
func (o *outbox) pump(send func([]byte) error) error {
	for {
		select {
		case <-o.wake:
		case <-o.done:
			return nil
		}
		for b := o.next(); b != nil; b = o.next() {
			if err := send(b); err != nil {
				return err
			}
			select {
			case <-o.done:
				return nil
			default:
			}
		}
	}
}

func (o *outbox) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.batches) == 0 {
		o.batches = nil
		return nil
	}
	b := o.batches[0]
	o.batches = o.batches[1:]
	o.bytes -= len(b)
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	return b
}

func (o *outbox) close() { o.once.Do(func() { close(o.done) }) }
