package token

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/sdk"
)

// answer is a successful one (RFC 6749 section 5.1); issued_token_type is what Iceberg clients expect beside it.
type answer struct {
	AccessToken     string `json:"access_token"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"` // seconds
	Scope           string `json:"scope"`
	IssuedTokenType string `json:"issued_token_type"`
}

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

// ServeHTTP is the token endpoint. What goes wrong on our side is a 503 that has no OAuth error and no detail.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := askToken
	if !s.enter(w, r, what) {
		return
	}
	f, fault := parse(r)
	if f.grantType == grantTokenExchange {
		what = askExchange
	}
	if fault != nil {
		s.fail(w, r, what, f.client, fault)
		return
	}
	out, err := s.grant(r.Context(), &f)
	if err != nil {
		s.fail(w, r, what, f.client, err)
		return
	}
	err = s.notes.signed(out.token.Value)
	if err == nil {
		err = s.c.Audit.Record(r.Context(), s.toldIssued(what, out))
	}
	if err != nil {
		s.fail(w, r, what, f.client, err) // nobody gets to see the token
		return
	}
	s.keys.look(r.Context())
	s.log(r).Info("token issued", "client_id", printable(out.clientID), "principal_id", out.principal.ID, "exchanged", f.grantType == grantTokenExchange,
		"token_id", out.token.ID, "scope", strings.Join(out.scope, " "), "expires", out.token.Expires)
	typ := out.token.Type
	if typ == "" {
		typ = "Bearer"
	}
	writeJSON(w, http.StatusOK, answer{
		AccessToken: out.token.Value, TokenType: typ, ExpiresIn: int64(out.expires.Seconds()),
		Scope: strings.Join(out.scope, " "), IssuedTokenType: accessTokenType,
	})
}

func (s *Service) log(r *http.Request) hclog.Logger {
	return s.c.Logger.With("realm", s.c.Realm, "request_id", sdk.RequestID(r.Context()))
}

// isPost answers every other method.
func isPost(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodPost {
		return true
	}
	w.Header().Set("Allow", http.MethodPost)
	WriteFault(w, http.StatusMethodNotAllowed, refuse(CodeInvalidRequest, "this endpoint takes POST only"))
	return false
}

// tokenForm reads a request that is about a token: a form with the parameter token, and a client. token_type_hint is
// ignored: there is one type.
func tokenForm(r *http.Request) (url.Values, client, *Fault) {
	values, fault := readForm(r)
	if fault != nil {
		return nil, client{}, fault
	}
	c, fault := clientOf(r, values)
	if fault == nil && values.Get("token") == "" {
		fault = refuse(CodeInvalidRequest, "token is missing")
	}
	return values, c, fault
}

// fail answers what was refused, with the challenge of the scheme that the client used, or what is unavailable.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, what string, c client, err error) {
	log := s.log(r).With("client_id", c.loggable())
	var refusal *limit.Refusal
	var fault *Fault
	switch {
	case errors.As(err, &refusal):
		s.limited(w, r, s.toldOf(r.Context(), what, c), refusal)
		return
	case errors.As(err, &fault): // also for a caller who has gone: nobody guesses unseen by hanging up
	case r.Context().Err() != nil: // the caller did not wait: that is no fault of ours
		log.Debug(what+" request: the caller has gone", "error", err)
		WriteUnavailable(w, r)
		return
	default:
		log.Error(what+" request is unavailable", "error", err)
		told := s.toldOf(r.Context(), what, c)
		told.Outcome, told.Reason = audit.Failed, "unavailable"
		_ = s.c.Audit.Tally(r.Context(), told) // there is no effect that needs the line
		WriteUnavailable(w, r)
		return
	}
	if s.tellRefused(r.Context(), what, c, fault) != nil {
		WriteUnavailable(w, r)
		return
	}
	level := hclog.Info
	if c.proven == nil && !s.refusals.Allow() { // anybody can cause them as often as they like
		level = hclog.Debug
	}
	log.Log(level, what+" refused", "error", fault.Code, "description", fault.Description, "reason", fault.why)
	status := http.StatusBadRequest
	if fault.Code == CodeInvalidClient {
		status = http.StatusUnauthorized
		challenge := `Basic realm="` + printable(s.c.Realm) + `", charset="UTF-8"` // a 401 always has one (RFC 9110 section 15.5.2)
		if c.bearer != "" && fault.why != "" {                                     // the bearer token was what failed
			challenge = `Bearer realm="` + printable(s.c.Realm) + `", error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	WriteFault(w, status, fault)
}

// tellRefused writes the audit line of a refusal. What is malformed was never judged: it has no line.
func (s *Service) tellRefused(ctx context.Context, what string, c client, fault *Fault) error {
	if c.proven == nil && fault.why == "" && (fault.Code != CodeInvalidClient || !c.hasSecret()) {
		return nil
	}
	told := s.toldOf(ctx, what, c)
	told.Outcome, told.Reason, told.Detail = audit.Refused, cmp.Or(fault.why, fault.Code), fault.Description
	if c.proven != nil { // a real client's faults are told one by one
		return s.c.Audit.Record(ctx, told)
	}
	return s.c.Audit.Tally(ctx, told)
}

// WriteFault writes an error answer of an OAuth endpoint (RFC 6749 section 5.2) with the status given. The server uses it
// for what it refuses before a realm's service is found.
func WriteFault(w http.ResponseWriter, status int, f *Fault) {
	writeJSON(w, status, map[string]string{"error": f.Code, "error_description": printable(f.Description)})
}

// WriteDisabled answers for a realm that has no token endpoint, with the code that clients know for it.
func WriteDisabled(w http.ResponseWriter) {
	WriteFault(w, http.StatusNotImplemented, refuse(CodeUnsupportedGrantType, "this realm issues no tokens"))
}

// WriteUnavailable answers that we are at fault, for which OAuth has no error code here.
func WriteUnavailable(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	writeJSON(w, http.StatusServiceUnavailable, map[string]string{"reason": "unavailable", "request_id": sdk.RequestID(r.Context())})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a caller that has gone needs no answer
}

// newTokenID gives 128 random bits in hex, behind the session that the token goes on with. Without one, or if it is none that
// began here, the id begins a session.
func newTokenID(session string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	if on := session + "." + id; directory.SessionOf(on) == session {
		return on
	}
	return id
}

// maxToken bounds a token in bytes; the server accepts no longer one.
const maxToken = 16 << 10

// isToken follows the grammar of b64token (RFC 6750 section 2.1).
func isToken(s string) bool {
	if len(s) > maxToken {
		return false
	}
	if s = strings.TrimRight(s, "="); s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return true
}

// loggable gives the client's id as it may stand in a log. What is sent for an id may be a secret that was put into the
// wrong field or pasted together with it; so it is only shown if it has the form of ours. Of a client that has proved who it
// is it is the principal's.
func (c client) loggable() string {
	switch {
	case c.proven != nil:
		return printable(c.proven.ClientID)
	case c.id == "" || isClientID(c.id):
		return printable(c.id)
	}
	return "[other]"
}

// isClientID says whether s has the form of the ids that the directory gives: 128 bits in lower-case hex. No secret has it.
func isClientID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

// printable keeps what error_description may hold (printable ASCII without " and \) and bounds it; what clients send goes
// through it before it is logged.
func printable(s string) string {
	if len(s) > 256 {
		s = s[:256]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}
