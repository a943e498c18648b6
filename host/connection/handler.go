package connection

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// Bounds of bodies in bytes.
const (
	maxBody     = 64 << 10
	maxSignBody = 1 << 20
)

// exchange is one request on its way.
type exchange struct {
	s     *Service
	w     http.ResponseWriter
	r     *http.Request
	actor Actor
	name  string
}

// Serve answers a request. rest is what stands behind ".../connections" in the path, as on the wire: empty, or beginning
// with a slash.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, a Actor, rest string) {
	x := &exchange{s: s, w: w, r: r, actor: a}
	if err := x.serve(rest); err != nil {
		x.fail(faultOf(err))
	}
}

func (x *exchange) serve(rest string) error {
	acts := x.route(rest)
	if acts == nil {
		return &Fault{Status: http.StatusNotFound, Code: CodeNotFound, Message: "there is nothing at this path"}
	}
	act := acts[x.r.Method]
	if act == nil {
		var allow []string
		for _, m := range []string{"GET", "POST", "PUT", "DELETE"} {
			if acts[m] != nil {
				allow = append(allow, m)
			}
		}
		x.w.Header().Set("Allow", strings.Join(allow, ", "))
		return &Fault{Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed, Message: "the method is not offered here"}
	}
	return act()
}

// route finds what a path offers, by its raw segments.
func (x *exchange) route(rest string) map[string]func() error {
	segs := strings.Split(rest, "/")
	if len(segs) > 1 {
		name, err := url.PathUnescape(segs[1])
		if err != nil || !namePattern.MatchString(name) {
			return nil
		}
		x.name = name
	}
	switch {
	case rest == "":
		return map[string]func() error{"GET": x.list, "POST": x.create}
	case len(segs) == 2:
		return map[string]func() error{"GET": x.get, "PUT": x.update, "DELETE": x.delete}
	case len(segs) == 3:
		verbs := map[string]func() error{
			"rotate-secret": x.rotate, "repoint": x.repoint, "credentials": x.credentials, "sign": x.sign, "test": x.test,
		}
		if act := verbs[segs[2]]; act != nil {
			return map[string]func() error{"POST": act}
		}
	}
	return nil
}

// body reads a body of at most limit bytes. Of a longer one nothing more is read.
func (x *exchange) body(limit int64) ([]byte, error) {
	tooLarge := &Fault{Status: http.StatusRequestEntityTooLarge, Code: CodeTooLarge, Message: "the body is longer than " + strconv.FormatInt(limit, 10) + " bytes"}
	if x.r.ContentLength > limit {
		x.w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	b, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case err != nil:
		return nil, invalid("", "the body cannot be read")
	}
	return b, nil
}

// object reads a body that is a JSON object, or none at all.
func (x *exchange) object(limit int64) (*object, error) {
	b, err := x.body(limit)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		b = []byte("{}")
	}
	return readObject(b), nil
}

// version reads the version of If-Match, which must be that of the body if both are there; 0: any.
func (x *exchange) version(body int64, field string) (int64, error) {
	values := x.r.Header.Values("If-Match")
	if len(values) == 0 || len(values) == 1 && values[0] == "*" {
		return body, nil
	}
	n, err := strconv.ParseInt(strings.Trim(strings.Join(values, ","), `"`), 10, 64)
	switch {
	case err != nil || n <= 0:
		return 0, invalid("If-Match", `is not a version as in the ETag of an answer, e.g. "7"`)
	case body != 0 && body != n:
		return 0, invalid(field, "is another version than that in If-Match")
	}
	return n, nil
}

// show answers with a connection.
func (x *exchange) show(status int, c Connection, err error) error {
	if err != nil {
		return err
	}
	x.w.Header().Set("ETag", `"`+strconv.FormatInt(c.Version, 10)+`"`)
	return x.write(status, c)
}

// write answers with JSON that nobody may keep.
func (x *exchange) write(status int, v any) error {
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(status)
	e := json.NewEncoder(x.w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a caller that has gone needs no answer
	return nil
}

// reasonHeader says why a request at an HTTP listener was refused, as that room's own refusals do.
const reasonHeader = "Realmgate-Reason"

// fail answers with a refusal, in the form that the rest of the socket or of the listener has.
func (x *exchange) fail(f *Fault) {
	id := sdk.RequestID(x.r.Context())
	if f.Status >= 500 {
		x.s.c.Logger.Warn("a request about connections failed", "request_id", id, "realm", x.s.c.Realm, "connection", x.name, "method", x.r.Method, "error", causeOf(f))
	}
	message := f.Message
	body := map[string]string{"message": message}
	if f.Field != "" {
		body["field"] = f.Field
	}
	if x.actor.Operator {
		body["code"] = f.Code
		if f.cause != nil && f.Status >= 500 {
			body["message"] += ": " + f.cause.Error()
		}
	} else {
		body["reason"], body["request_id"] = f.Code, id
		x.w.Header().Set(reasonHeader, f.Code)
	}
	if f.Status == http.StatusServiceUnavailable {
		x.w.Header().Set("Retry-After", "1")
	}
	_ = x.write(f.Status, map[string]any{"error": body})
}
