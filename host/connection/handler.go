package connection

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/directory"
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

func (x *exchange) list() error {
	p := directory.Page{}
	for key, values := range x.r.URL.Query() {
		switch {
		case len(values) != 1:
			return invalid(shown(key), "is given more than once")
		case key == "after":
			p.After = values[0]
		case key == "limit":
			n, err := strconv.Atoi(values[0])
			if err != nil || n < 1 || n > 1000 {
				return invalid(key, "is a number from 1 to 1000")
			}
			p.Limit = n
		default:
			return invalid(shown(key), "there is no such parameter")
		}
	}
	list, next, err := x.s.List(x.r.Context(), x.actor, p)
	if err != nil {
		return err
	}
	return x.write(http.StatusOK, Page{Connections: list, Next: next})
}

// Page is a page of connections; Next, if not empty, is the After of the next one.
type Page struct {
	Connections []Connection `json:"connections"`
	Next        string       `json:"next,omitempty"`
}

func (x *exchange) create() error {
	b, err := x.body(maxBody)
	if err != nil {
		return err
	}
	d, err := ParseDraft(b)
	if err != nil {
		return err
	}
	c, err := x.s.Create(x.r.Context(), x.actor, d)
	return x.show(http.StatusCreated, c, err)
}

func (x *exchange) get() error {
	c, err := x.s.Get(x.r.Context(), x.actor, x.name)
	return x.show(http.StatusOK, c, err)
}

func (x *exchange) update() error {
	b, err := x.body(maxBody)
	if err != nil {
		return err
	}
	d, err := ParseDraft(b)
	if err != nil {
		return err
	}
	if d.Version, err = x.version(d.Version, d.at+versionKey(d.at)); err != nil {
		return err
	}
	c, err := x.s.Update(x.r.Context(), x.actor, x.name, d)
	return x.show(http.StatusOK, c, err)
}

func (x *exchange) delete() error {
	v, err := x.version(0, "")
	if err == nil {
		err = x.s.Delete(x.r.Context(), x.actor, x.name, v)
	}
	if err != nil {
		return err
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (x *exchange) rotate() error {
	o, err := x.object(maxBody)
	if err != nil {
		return err
	}
	r := Rotation{Field: o.text("field")}
	r.Secret = o.given("value", o.text("value"))
	body := o.number("version")
	if o.done(); o.fault != nil {
		return o.fault
	}
	if r.Version, err = x.version(body, "version"); err != nil {
		return err
	}
	c, err := x.s.RotateSecret(x.r.Context(), x.actor, x.name, r)
	return x.show(http.StatusOK, c, err)
}

func (x *exchange) repoint() error {
	o, err := x.object(maxBody)
	if err != nil {
		return err
	}
	scope, body := o.text("identity"), o.number("version")
	if o.done(); o.fault != nil {
		return o.fault
	}
	v, err := x.version(body, "version")
	if err != nil {
		return err
	}
	c, err := x.s.Repoint(x.r.Context(), x.actor, x.name, scope, v)
	return x.show(http.StatusOK, c, err)
}

func (x *exchange) credentials() error {
	o, err := x.object(maxBody)
	if err != nil {
		return err
	}
	q := CredentialsRequest{NarrowTo: o.texts("narrowTo"), MinLifetime: o.seconds("minLifetimeSeconds")}
	if o.done(); o.fault != nil {
		return o.fault
	}
	got, err := x.s.Credentials(x.r.Context(), x.actor, x.name, q)
	if err != nil {
		return err
	}
	return x.write(http.StatusOK, got.vended())
}

// seconds gives the number of seconds under a key as a duration. More than a year is a year, which no bound allows.
func (o *object) seconds(key string) time.Duration {
	return time.Duration(min(o.number(key), 365*24*3600)) * time.Second
}

// Vended is the answer to a request for credentials. It holds secrets.
type Vended struct {
	Connection string            `json:"connection"`
	Properties map[string]string `json:"properties"` // in Iceberg's names
	ExpiresAt  *time.Time        `json:"expiresAt,omitempty"`
	Short      bool              `json:"shorterThanAsked,omitempty"`
	AuditID    string            `json:"auditId,omitempty"`
}

// String hides the secrets.
func (v Vended) String() string { return "credentials of " + v.Connection + " [secret]" }

// GoString hides the secrets from %#v.
func (v Vended) GoString() string { return v.String() }

func (c Credentials) vended() Vended {
	v := Vended{Connection: c.Connection, Properties: map[string]string{}, Short: c.Short, AuditID: c.AuditID, ExpiresAt: instant(c.Expires)}
	for name, value := range c.Properties {
		v.Properties[name] = string(value.Reveal())
	}
	return v
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (x *exchange) sign() error {
	o, err := x.object(maxSignBody)
	if err != nil {
		return err
	}
	q := o.signRequest()
	if o.fault != nil {
		return o.fault
	}
	got, err := x.s.Sign(x.r.Context(), x.actor, x.name, q)
	if err != nil {
		return err
	}
	out := Signed{URI: got.URL, Headers: map[string][]string{}, ExpiresAt: instant(got.Expires)}
	for _, h := range got.Header {
		out.Headers[h.Name] = append(out.Headers[h.Name], h.Value)
	}
	return x.write(http.StatusOK, out)
}

// Signed is the answer to a request for a signature: what to send, and where. It is Iceberg's S3SignResponse.
type Signed struct {
	URI       string              `json:"uri"`
	Headers   map[string][]string `json:"headers"`
	ExpiresAt *time.Time          `json:"expiresAt,omitempty"`
}

// String hides the signature.
func (s Signed) String() string { return "a signed request [secret]" }

// GoString hides the signature from %#v.
func (s Signed) GoString() string { return s.String() }

// signRequest reads our own shape and Iceberg's S3SignRequest, which have most keys in common.
func (o *object) signRequest() SignRequest {
	q := SignRequest{
		Method: o.text("method"), URI: o.text("uri"), PayloadSHA256: o.text("payloadSha256"), Region: o.text("region"),
		Presign: o.flag("presign"), Lifetime: o.seconds("expiresInSeconds"),
	}
	var body string
	if o.into("body", &body, "a string") {
		q.Body = &body
	}
	o.textMap("properties") // Iceberg's, for the signer's own use
	if p := o.text("provider"); p != "" && !strings.EqualFold(p, "s3") {
		o.fail(o.path("provider"), `is not "s3"`)
	}
	if h, ok := o.object("headers"); ok {
		for _, name := range h.left() {
			q.Header = append(q.Header, h.header(name)...)
		}
	}
	o.done()
	return q
}

// header takes a header: a string, or a list of them.
func (o *object) header(name string) []sdk.Header {
	raw := o.keys[name]
	if len(raw) > 0 && raw[0] == '"' {
		return []sdk.Header{{Name: name, Value: o.text(name)}}
	}
	var out []sdk.Header
	for _, v := range o.texts(name) {
		out = append(out, sdk.Header{Name: name, Value: v})
	}
	return out
}

func (x *exchange) test() error {
	o, err := x.object(maxBody)
	if err != nil {
		return err
	}
	if o.done(); o.fault != nil {
		return o.fault
	}
	out, err := x.s.Test(x.r.Context(), x.actor, x.name)
	if err != nil {
		return err
	}
	return x.write(http.StatusOK, out)
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
