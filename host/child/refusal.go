package child

// Reason tells the causes apart for which a plugin does not start.
type Reason string

// The reasons of a [Refusal].
const (
	ReasonMissing       Reason = "missing"        // there is no file at the path, or it cannot be read
	ReasonDirectory     Reason = "directory"      // the path names no regular file
	ReasonNotExecutable Reason = "not_executable" // nobody may execute the file
	ReasonChecksum      Reason = "checksum"       // the file is not the one that was pinned
	ReasonExec          Reason = "exec"           // the system refuses to execute it
	ReasonHandshake     Reason = "handshake"      // it runs but does not speak as a plugin
	ReasonProtocol      Reason = "protocol"       // it speaks another version of the contract
	ReasonTimeout       Reason = "timeout"        // no handshake in time
	ReasonLimit         Reason = "limit"          // it used more than it may
	ReasonUser          Reason = "user"           // it cannot run as its user
	ReasonStopped       Reason = "stopped"        // the host ended the start
)

// Refusal says why a program is not run, or why its process is not a plugin of ours. Its text is safe to be logged.
type Refusal struct {
	Reason Reason
	Detail string // a predicate: "the file does not exist"
	Err    error  // what caused it; may be nil. Its text may be a plugin's
}

// Error gives the detail; who the predicate is about is for the caller to say.
func (r *Refusal) Error() string { return r.Detail }

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }
