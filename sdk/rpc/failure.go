package rpc

import "errors"

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
)

// Failure is an error that is not the caller's fault.
type Failure struct {
	Code    Code
	Message string
}

// Error gives the message.
func (f *Failure) Error() string { return f.Message }
