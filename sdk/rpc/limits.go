package rpc

import "time"

// MaxMessage is the size in bytes up to which each side accepts a gRPC message. Servers and clients of the contract are
// set up with it in both directions.
const MaxMessage = 4 << 20

// One message that is too large kills a stream for every call on it. So a single item has a bound, which is checked
// before it is queued, and a batch has one: legal items together must not exceed what the other side accepts.
const (
	maxItem  = 1 << 20
	maxBatch = 2 << 20
	maxQueue = 16 << 20 // bytes that wait for a peer which reads slowly
)

const (
	maxLegs         = 1024 // calls in flight to one process; further ones wait
	maxShare        = 256  // of them for one realm
	maxServedLegs   = 2048 // legs in flight in a plugin, given-up ones that still run included; further ones fail
	maxHung         = 64   // calls of one instance that were given up and still run; while they do, further ones fail
	maxHostCalls    = 512  // host calls of a session that are being answered; further ones wait
	maxWaitingCalls = 4096 // host calls of a session that wait; further ones fail
	maxDepth        = 4    // calls that serve a host call that serves a call ...
)

const (
	maxRef         = 1 << 10   // bytes of a principal's id or name in a look-up
	maxKeyID       = 128       // bytes of an access key's id in a look-up
	maxText        = 4 << 10   // bytes of a failure's message, a diagnostic's text
	maxDiagnostics = 100       // of one instance
	maxSchema      = 256 << 10 // bytes of a settings schema
	maxOffers      = 256
	maxInstances   = 1000 // of one ConfigureRequest
)

// defaultTimeout is for a call whose context has no deadline.
const defaultTimeout = 30 * time.Second

// patience is how long the reader of a plugin's session stays with a leg before it hands reading on.
const patience = time.Millisecond

// hungAfter is how long a call may take to end after it was given up.
const hungAfter = time.Second

// waryFor is how many quick calls in a row it takes until the reader runs legs of an instance again that once kept it for
// longer than its patience.
const waryFor = 16
