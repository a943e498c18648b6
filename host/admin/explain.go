package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
)

// ExplainPath is where an explanation of a decision is asked for, by POST.
const ExplainPath = "/v1/explain"

// ExplainRequest asks how a realm decides on a credential. One of Realm and Host is needed.
type ExplainRequest struct {
	Realm  string `json:"realm,omitempty"`
	Host   string `json:"host,omitempty"`   // which the realm serves
	Scheme string `json:"scheme,omitempty"` // authentication scheme; empty: bearer
	Token  string `json:"token"`
	// HTTP is the request that the credential came with, for parts that look at it; nil: they are given none.
	HTTP *ExplainHTTP `json:"http,omitempty"`
	// ClientCertificate is the certificate of the caller's TLS connection in PEM, with those of the authorities behind it. It is
	// believed: no handshake proves that the caller has its key.
	ClientCertificate string   `json:"client_certificate,omitempty"`
	Config            []string `json:"config,omitempty"` // also by the configuration in these files, absolute paths in the daemon's file system
}

// ExplainHTTP is a request as it was made, without its body. Headers are sorted by name, repeats in their order.
type ExplainHTTP struct {
	Method string          `json:"method"`
	Scheme string          `json:"scheme"` // http or https
	Host   string          `json:"host"`
	Target string          `json:"target"` // path and query, as on the wire
	Header []ExplainHeader `json:"headers"`
}

// ExplainHeader is one header field.
type ExplainHeader struct {
	Name  string `json:"name"` // lower case
	Value string `json:"value"`
}

// String hides the token.
func (r ExplainRequest) String() string { return "explain realm " + r.Realm + r.Host }

// GoString hides the token from %#v.
func (r ExplainRequest) GoString() string { return r.String() }

// Explained is the answer to an ExplainRequest.
type Explained struct {
	Explanation
	Other       *Explanation `json:"other,omitempty"`       // by the other configuration
	Differences []Difference `json:"differences,omitempty"` // between the two
}

// Explanation is how a decision came about. It has no secret and no token.
type Explanation struct {
	Realm   string `json:"realm"`
	Chosen  string `json:"chosen"` // how the realm was found
	Type    string `json:"type"`   // internal, external or mixed
	Tenant  string `json:"tenant,omitempty"`
	Verdict string `json:"verdict"` // allowed, denied or unavailable
	Status  int    `json:"status"`  // that the check door answers
	Reason  string `json:"reason,omitempty"`
	Summary string `json:"summary"` // why, in one sentence

	Principal *ExplainedPrincipal `json:"principal,omitempty"`
	Roles     *ExplainedRoles     `json:"roles,omitempty"`
	Source    string              `json:"source,omitempty"`
	Issuer    string              `json:"issuer,omitempty"`
	TokenID   string              `json:"token_id,omitempty"`
	Expires   *time.Time          `json:"expires_at,omitempty"`

	Certificate *ExplainedCertificate `json:"client_certificate,omitempty"` // of the request, if it has one

	Routes []ExplainedRoute `json:"routes"`
	Cache  ExplainedCache   `json:"cache"`
	TookMS float64          `json:"took_ms"`
}

// ExplainedPrincipal is whom a decision is about.
type ExplainedPrincipal struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ExplainedRoles are the roles of a decision, as far as it came.
type ExplainedRoles struct {
	Requested []string `json:"requested"` // by the credential, with their prefix
	Granted   []string `json:"granted"`   // to the principal
	Active    []string `json:"active"`
}

// ExplainedCertificate is the client certificate of a request.
type ExplainedCertificate struct {
	Subject    string              `json:"subject"` // distinguished name (RFC 4514)
	Issuer     string              `json:"issuer"`
	Serial     string              `json:"serial"`
	Digest     string              `json:"sha256"` // of the certificate's DER
	Expires    time.Time           `json:"expires_at"`
	Possession string              `json:"possession"` // not_proven: an explanation makes no handshake
	Listeners  []ExplainedListener `json:"listeners"`
}

// ExplainedListener says whether a listener takes a client certificate.
type ExplainedListener struct {
	Name  string `json:"name"`
	Takes bool   `json:"takes"`
	Why   string `json:"why,omitempty"` // it does not
}

// ExplainedRoute is one way of a realm to a decision.
type ExplainedRoute struct {
	Source  string           `json:"source"`  // internal or external
	Verdict string           `json:"verdict"` // allowed, denied, unavailable, or not_asked
	Summary string           `json:"summary"`
	Stages  []ExplainedStage `json:"stages"`
}

// ExplainedStage is what one stage did. The last one of a route is the host itself, without a type.
type ExplainedStage struct {
	Kind    string          `json:"kind"`
	Type    string          `json:"type,omitempty"`
	At      string          `json:"at,omitempty"` // file:line:column
	Plugin  *ExplainedPart  `json:"plugin,omitempty"`
	Outcome string          `json:"outcome"` // done, denied, failed, or not_reached
	Reason  string          `json:"reason,omitempty"`
	Detail  string          `json:"detail,omitempty"`
	Notes   []string        `json:"notes,omitempty"` // what the stage tells of its work
	Read    json.RawMessage `json:"read,omitempty"`  // what it was given
	Made    json.RawMessage `json:"made,omitempty"`  // what it gave to those behind it
	Cache   string          `json:"cache,omitempty"` // what it says about remembering
	TookMS  float64         `json:"took_ms"`
}

// ExplainedPart is the plugin that a stage ran in.
type ExplainedPart struct {
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	Digest   string `json:"sha256,omitempty"`
	PID      int    `json:"pid,omitempty"`
	State    string `json:"state"`
	Instance uint64 `json:"instance"`
}

// ExplainedCache says what is remembered, and would be. An explanation itself neither reads from memory nor writes there.
type ExplainedCache struct {
	State    string  `json:"state"`             // hit, miss or off
	Verdict  string  `json:"verdict,omitempty"` // of a hit
	LeftS    float64 `json:"left_s,omitempty"`  // of a hit: so many seconds yet
	Why      string  `json:"why,omitempty"`     // of no hit
	StoreS   float64 `json:"store_s"`           // for so many seconds the answer may be remembered; 0: not at all
	StoreWhy string  `json:"store_why"`         // what bounds that
}

// Difference is one thing in which two explanations differ.
type Difference struct {
	What  string `json:"what"`
	Here  string `json:"here"`  // by the configuration that serves
	There string `json:"there"` // by the other one
}

// ExplainFunc explains, see [ExplainHandler]. An error that is no *Error is the daemon's fault.
type ExplainFunc func(ctx context.Context, r ExplainRequest) (Explained, error)

// ExplainHandler serves [ExplainPath].
func ExplainHandler(explain ExplainFunc, log hclog.Logger) http.Handler {
	h := &handler{Deps{Logger: log}}
	return h.alone(func(c *call) error { return h.explain(c, explain) })
}

func (h *handler) explain(c *call, explain ExplainFunc) error {
	var r ExplainRequest
	if err := c.posted(&r); err != nil {
		return err
	}
	switch {
	case (r.Realm == "") == (r.Host == ""):
		return invalid("realm", "either a realm or a host is needed")
	case r.Token == "":
		return invalid("token", "is needed")
	}
	if len(r.Config) > 0 { // plugins may have to be started
		if err := http.NewResponseController(c.w).SetWriteDeadline(time.Time{}); err != nil {
			return err
		}
	}
	out, err := explain(c.r.Context(), r)
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, out)
}

// Explain asks how the daemon decides on a credential. With another configuration it takes as long as building that does.
func (c *Client) Explain(ctx context.Context, r ExplainRequest) (out Explained, err error) {
	err = c.patient().do(ctx, http.MethodPost, ExplainPath, r, &out)
	return out, err
}
