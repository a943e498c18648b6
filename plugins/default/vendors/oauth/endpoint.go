package oauth

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/realmgate/realmgate/plugins/default/vendors/bearer"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

const (
	maxAnswer = 64 << 10
	// maxLife bounds what is believed of a token's life.
	maxLife = 30 * 24 * time.Hour
)

// issued is a token and since when it is there.
type issued struct {
	bearer.Token
	at time.Time
}

// ask asks a token endpoint for a token (RFC 6749 section 4.4.2). No error has anything in it that the endpoint said, but
// for the codes that the RFC knows.
func (v *Vendor) ask(ctx context.Context, p *parameters, secret sdk.Secret) (issued, error) {
	t, err := v.exchange(ctx, p, secret)
	if err != nil {
		return issued{}, fmt.Errorf("the token endpoint %s %w", p.shown(), err)
	}
	return t, nil
}

func (v *Vendor) exchange(ctx context.Context, p *parameters, secret sdk.Secret) (issued, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(p.Scopes) > 0 {
		form.Set("scope", strings.Join(p.Scopes, " "))
	}
	if v.settings.AuthMethod == methodPost {
		form.Set("client_id", p.ClientID)
		form.Set("client_secret", string(secret.Reveal()))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return issued{}, errors.New("cannot be asked")
	}
	if v.settings.AuthMethod == methodBasic { // RFC 6749 section 2.3.1 wants both encoded
		r.SetBasicAuth(url.QueryEscape(p.ClientID), url.QueryEscape(string(secret.Reveal())))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header["Idempotency-Key"] = nil // not sent: it lets the client try again where a kept connection turns out to be closed
	now := v.now()                    // the life of a token begins no earlier than this
	answer, err := v.client.Do(r)
	if err != nil {
		return issued{}, failure(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	raw, err := egress.ReadAll(answer.Body, maxAnswer)
	switch {
	case errors.Is(err, egress.ErrTooLong):
		return issued{}, fmt.Errorf("answers more than %d bytes", maxAnswer)
	case err != nil:
		return issued{}, failure(err)
	case answer.StatusCode != http.StatusOK:
		return issued{}, refusal(answer.StatusCode, raw)
	}
	return read(raw, now)
}

// read reads an answer (RFC 6749 section 5.1).
func read(raw []byte, now time.Time) (issued, error) {
	var a struct {
		Token   string          `json:"access_token"`
		Type    string          `json:"token_type"`
		Expires json.RawMessage `json:"expires_in"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return issued{}, errors.New("does not answer the JSON object that is wanted")
	}
	if !strings.EqualFold(a.Type, "bearer") {
		return issued{}, errors.New(`answers a token whose token_type is not "Bearer"`)
	}
	t, err := bearer.Parse([]byte(a.Token))
	if err != nil {
		return issued{}, fmt.Errorf("answers an access_token that is none: %w", err)
	}
	if len(a.Expires) > 0 && string(a.Expires) != "null" {
		life, err := seconds(a.Expires)
		if err != nil {
			return issued{}, err
		}
		if end := now.Add(life); t.Expires.IsZero() || end.Before(t.Expires) { // a JWT tells its end too
			t.Expires = end
		}
	}
	if !t.Expires.IsZero() && !now.Before(t.Expires) {
		return issued{}, errors.New("answers a token that has expired")
	}
	return issued{Token: t, at: now}, nil
}

// seconds takes a number, and a string that is one, as some servers write it.
func seconds(raw json.RawMessage) (time.Duration, error) {
	n, err := json.Number(strings.Trim(string(raw), `"`)).Float64()
	if err != nil || !(n > 0) { // NaN is no life either
		return 0, errors.New("answers an expires_in that is no number above 0")
	}
	return time.Duration(min(n, maxLife.Seconds()) * float64(time.Second)), nil
}

// codes are those of RFC 6749 section 5.2, and what they mean for whoever runs this.
var codes = map[string]string{
	"invalid_client":         "it does not accept the connection's clientId and clientSecret; if they are right, it may want them by another auth_method of the vendor",
	"unauthorized_client":    "it does not let this client have tokens by client credentials",
	"unsupported_grant_type": "it offers no tokens by client credentials",
	"invalid_scope":          "it does not grant the connection's scopes to this client",
	"invalid_request":        "it does not understand the request; it may want the client's credentials by another auth_method of the vendor",
	"invalid_grant":          "it does not accept the client's credentials",
}

func refusal(status int, raw []byte) error {
	if status >= 300 && status < 400 {
		return fmt.Errorf("answers %d, and redirects are not followed", status)
	}
	var a struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(raw, &a) == nil && codes[a.Error] != "" {
		return fmt.Errorf("answers %s: %s", a.Error, codes[a.Error])
	}
	return fmt.Errorf("answers the status %d", status)
}

// errLeftAlone is a server that was not asked.
var errLeftAlone = errors.New("did not answer several times in a row, and is left alone for a while")

// failure says in our own words what went wrong on the way: the errors of a client repeat what the other end sent.
func failure(err error) error {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var errno syscall.Errno
	switch {
	case errors.Is(err, breaker.ErrOpen):
		return errLeftAlone
	case errors.Is(err, egress.ErrRefused):
		return errors.New("has an address that is refused, see deny_addresses")
	case errors.Is(err, context.Canceled):
		return errors.New("was not waited for")
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return errors.New("does not answer in time")
	case errors.As(err, &dns):
		return errors.New("has a name that cannot be resolved")
	case errors.As(err, &cert):
		return errors.New("has a certificate that is not trusted, see ca_file")
	case errors.As(err, &errno):
		return fmt.Errorf("cannot be reached: %w", errno)
	}
	return errors.New("does not answer as it should")
}
