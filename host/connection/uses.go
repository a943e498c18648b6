package connection

import (
	"net/http"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

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
