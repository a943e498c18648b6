package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/realmgate/realmgate/sdk"
)

// ErrLost is in the chain of every error that says that the process or the session with it is gone.
var ErrLost = errors.New("the connection to the plugin is lost")

// Code tells failures of a plugin apart.
type Code uint8

// The codes, numbered as in the contract's enum Failure.Code.
const (
	CodeError           Code = iota // any error of an implementation
	CodeDeadline                    // no answer in time
	CodePanic                       // the implementation panicked
	CodeTooLarge                    // a message over the bound of 1 MiB
	CodeUnknownInstance             // the process does not have the instance
	CodeUnsupported                 // the other side does not know what was asked of it
	CodeNotAllowed                  // the host answers this implementation no such thing
	CodeBusy                        // nothing was tried: too much was asked
)

// Failure is an error that is not the caller's fault. One with CodeDeadline has context.DeadlineExceeded in its chain,
// one with CodeNotAllowed sdk.ErrNotAllowed, one with CodeBusy sdk.ErrBusy.
type Failure struct {
	Code    Code
	Message string
}

// Error gives the message.
func (f *Failure) Error() string { return f.Message }

// Unwrap gives the error that a code stands for, if there is one.
func (f *Failure) Unwrap() error {
	switch f.Code {
	case CodeDeadline:
		return context.DeadlineExceeded
	case CodeNotAllowed:
		return sdk.ErrNotAllowed
	case CodeBusy:
		return sdk.ErrBusy
	}
	return nil
}

func failf(code Code, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(bytes int) *Failure {
	return failf(CodeTooLarge, "a message of %d bytes is over the bound of %d", bytes, maxItem)
}

// givenUp is the error of a wait that ended with its context.
func givenUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failf(CodeDeadline, "no answer in time")
	}
	return fmt.Errorf("the call was given up: %w", ctx.Err())
}

// UnansweredError says that there was no answer to a leg in time. It has the *Failure in its chain.
type UnansweredError struct {
	failure *Failure
	steps   int
	at      <-chan uint32 // the step that had the time, as the plugin says; nil: it never got there
}

// Error gives the message of the failure.
func (e *UnansweredError) Error() string { return e.failure.Error() }

// Unwrap gives the failure.
func (e *UnansweredError) Unwrap() error { return e.failure }

// At waits until ctx ends for the plugin to say at which of the steps the time was over, from 0; 0 and false if it has not said so,
// or speaks of a step that there is not.
func (e *UnansweredError) At(ctx context.Context) (step int, ok bool) {
	if e.at == nil {
		return 0, false
	}
	select {
	case n, said := <-e.at:
		if !said || int64(n) >= int64(e.steps) {
			return 0, false
		}
		return int(n), true
	case <-ctx.Done():
		return 0, false
	}
}

// unanswered gives the error of a leg of so many steps whose wait ended with err; at is nil if the leg never got to the plugin.
func unanswered(err error, steps int, at <-chan uint32) error {
	if f := (*Failure)(nil); errors.As(err, &f) && f.Code == CodeDeadline {
		return &UnansweredError{f, steps, at}
	}
	return err
}

// failureToProto is for an error that is no denial. A failure that came from another process keeps its text, not its
// code: the code would speak of the wrong process.
func failureToProto(err error) *pluginv1.Failure {
	out := &pluginv1.Failure{Message: text(err.Error())}
	var panicked *sdk.PanicError
	var own *ownFailure
	switch {
	case errors.As(err, &own):
		out.Code = pluginv1.Failure_Code(own.Code)
	case errors.As(err, &panicked):
		out.Code = pluginv1.Failure_CODE_PANIC
	case errors.As(err, new(*Failure)): // of another process
	case errors.Is(err, context.DeadlineExceeded):
		out.Code = pluginv1.Failure_CODE_DEADLINE
	case errors.Is(err, sdk.ErrNotAllowed):
		out.Code = pluginv1.Failure_CODE_NOT_ALLOWED
	case errors.Is(err, sdk.ErrBusy):
		out.Code = pluginv1.Failure_CODE_BUSY
	}
	return out
}

// ownFailure is a failure that this process itself found, so that its code holds for it.
type ownFailure struct{ *Failure }

func failureFromProto(f *pluginv1.Failure) *Failure {
	out := &Failure{Message: text(f.GetMessage())}
	if c := f.GetCode(); c > 0 && c <= pluginv1.Failure_CODE_BUSY {
		out.Code = Code(c)
	}
	if out.Message == "" {
		out.Message = "the plugin failed without a message"
	}
	return out
}

// statusOf gives the gRPC status of an error of a unary call; the failure goes along as a detail.
func statusOf(err error) error {
	f := failureToProto(err)
	code := codes.Internal
	switch f.GetCode() {
	case pluginv1.Failure_CODE_DEADLINE:
		code = codes.DeadlineExceeded
	case pluginv1.Failure_CODE_TOO_LARGE, pluginv1.Failure_CODE_BUSY:
		code = codes.ResourceExhausted
	case pluginv1.Failure_CODE_UNKNOWN_INSTANCE:
		code = codes.NotFound
	case pluginv1.Failure_CODE_NOT_ALLOWED:
		code = codes.PermissionDenied
	}
	st := status.New(code, f.GetMessage())
	if with, err := st.WithDetails(f); err == nil {
		st = with
	}
	return st.Err()
}

// answer collects what shows that the plugin itself answered a call: a transport that breaks sends no headers.
type answer struct{ header, trailer metadata.MD }

func (a *answer) opts() []grpc.CallOption {
	return append(slices.Clip(callOptions), grpc.Header(&a.header), grpc.Trailer(&a.trailer))
}

func (a *answer) came() bool { return len(a.header)+len(a.trailer) > 0 }

// fromStatus turns the error of a gRPC call into what the stream would have given. What the plugin answers has the code
// that its failure says; of a mere status only the text is taken.
func fromStatus(ctx context.Context, a *answer, err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("rpc: %w", err)
	}
	for _, d := range st.Details() {
		if f, ok := d.(*pluginv1.Failure); ok {
			return failureFromProto(f)
		}
	}
	switch c := st.Code(); {
	case (c == codes.Canceled || c == codes.DeadlineExceeded) && ctx.Err() != nil:
		return givenUp(ctx)
	case c == codes.DeadlineExceeded: // on either side's clock
		return failf(CodeDeadline, "no answer in time")
	case (c == codes.Canceled || c == codes.Unavailable) && !a.came():
		return fmt.Errorf("%w: %s", ErrLost, text(st.Message()))
	}
	return &Failure{Message: text(st.Message())}
}

// text bounds a text and makes it valid UTF-8, without which no message could carry it.
func text(s string) string {
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
