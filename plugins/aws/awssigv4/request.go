package awssigv4

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

// claim is what a request says about its signature, checked as far as that can be without the key.
type claim struct {
	awssig.Proof
	at        time.Time // when it was signed
	ends      time.Time // when it is no longer good
	canonical string    // what was signed
}

// read takes a request apart. Every error is a denial.
func (p *Provider) read(r sdk.Request) (claim, error) {
	req, err := awssig.Read(r.HTTP)
	if err != nil {
		return claim{}, sdk.Deny("token_malformed", "%s", err)
	}
	presigned := len(req.Values("authorization")) == 0
	var c claim
	switch {
	case !presigned:
		if req.Query.Has(awssig.ParamSignature) || req.Query.Has(awssig.ParamCredential) {
			return claim{}, sdk.Deny("token_malformed", "the request is signed twice: by a header and in the query")
		}
		c.Proof, err = awssig.ParseAuthorization(r.Token)
	case !p.settings.Presigned:
		return claim{}, sdk.Deny("presigned_not_allowed", "presigned URLs are not accepted here")
	default:
		c.Proof, err = awssig.ParsePresigned(req.Query)
	}
	if err != nil {
		return claim{}, sdk.Deny("token_malformed", "%s", err)
	}
	if err := checkHeaders(req, c.Proof); err != nil {
		return claim{}, err
	}
	if presigned {
		err = p.presignedTimes(req, &c)
	} else {
		err = p.times(req, &c)
	}
	if err != nil {
		return claim{}, err
	}
	if err := p.checkScope(c); err != nil {
		return claim{}, err
	}
	payload, err := p.payload(req, presigned)
	if err != nil {
		return claim{}, err
	}
	if c.canonical, err = req.Canonical(c.Proof, payload, p.settings.rules()); err != nil {
		return claim{}, sdk.Deny("header_missing", "%s: the proxy in front has to pass it on", err)
	}
	return c, nil
}

// checkHeaders refuses what an attacker could add to a signed request, and temporary keys, which are not issued here.
func checkHeaders(req awssig.Request, c awssig.Proof) error {
	if req.Query.Has(awssig.ParamToken) {
		return noSession
	}
	for _, h := range req.Header {
		name := strings.ReplaceAll(h.Name, "_", "-") // CGI and its kin (RFC 3875 section 4.1.18) do not tell the two apart
		if !strings.HasPrefix(name, "x-amz-") {
			continue
		}
		switch name {
		case "x-amz-security-token", "x-amz-s3session-token":
			return noSession
		}
		if !c.Signs(h.Name) {
			return sdk.Deny("header_not_signed", "every x-amz- header has to be signed, and %.64q is not", h.Name)
		}
	}
	return nil
}

var noSession = sdk.Deny("session_token_not_allowed", "access keys of this realm have no session token: temporary credentials are not accepted")

// times reads when a request was signed: x-amz-date, or date where there is none.
func (p *Provider) times(req awssig.Request, c *claim) (err error) {
	name := "x-amz-date"
	values := req.Values(name)
	if len(values) == 0 {
		name = "date"
		values = req.Values(name)
	}
	switch {
	case len(values) != 1:
		return sdk.Deny("token_malformed", "the request has to have one x-amz-date, or one date")
	case !c.Signs(name):
		return sdk.Deny("header_not_signed", "the header %s has to be signed", name)
	}
	if c.at, err = awssig.ParseTime(values[0]); err != nil && name == "date" {
		c.at, err = http.ParseTime(values[0]) // RFC 9110 section 5.6.7
	}
	if err != nil {
		return sdk.Deny("token_malformed", "the header %s is no time", name)
	}
	c.ends = c.at.Add(p.settings.ClockSkew.Std())
	return p.checkTime(*c)
}

// presignedTimes reads when a URL was signed, and for how long.
func (p *Provider) presignedTimes(req awssig.Request, c *claim) error {
	date, err := req.Query.One(awssig.ParamDate)
	if err == nil {
		c.at, err = awssig.ParseTime(date)
	}
	if err != nil {
		return sdk.Deny("token_malformed", "%s", err)
	}
	text, err := req.Query.One(awssig.ParamExpires)
	var life time.Duration
	if err == nil {
		life, err = awssig.ParseExpires(text)
	}
	switch {
	case err != nil:
		return sdk.Deny("token_malformed", "%s", err)
	case life > p.settings.MaxExpires.Std():
		return sdk.Deny("token_malformed", "X-Amz-Expires is at most %d", int(p.settings.MaxExpires.Std().Seconds()))
	}
	c.ends = c.at.Add(life)
	return p.checkTime(*c)
}

func (p *Provider) checkTime(c claim) error {
	now := p.now()
	switch {
	case !now.Before(c.ends):
		return sdk.Deny("token_expired", "the signature has expired, or a clock is slow")
	case c.at.After(now.Add(p.settings.ClockSkew.Std())):
		return sdk.Deny("token_not_yet_valid", "the request was signed in the future, or a clock is fast")
	}
	return nil
}

func (p *Provider) checkScope(c claim) error {
	switch {
	case !c.Scope.FitsDay(c.at):
		return sdk.Deny("scope_mismatch", "the day of the credential is not that of the request")
	case c.Scope.Region != p.settings.Region:
		return sdk.Deny("scope_mismatch", "requests are to be signed for the region %s", p.settings.Region)
	case c.Scope.Service != p.settings.Service:
		return sdk.Deny("scope_mismatch", "requests are to be signed for the service %s", p.settings.Service)
	}
	return nil
}

// streaming are the values for bodies that are signed piece by piece, if at all.
var streaming = []string{
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}

// payload gives the hash of the body as the request claims it, or what stands for it.
func (p *Provider) payload(req awssig.Request, presigned bool) (string, error) {
	values := req.Values("x-amz-content-sha256")
	if len(values) > 1 {
		return "", sdk.Deny("token_malformed", "there is more than one x-amz-content-sha256")
	}
	if len(values) == 0 {
		return p.noPayload(req, presigned)
	}
	v := values[0]
	switch {
	case v == awssig.UnsignedPayload || slices.Contains(streaming, v):
		if !p.settings.UnsignedPayload {
			return "", sdk.Deny("payload_not_signed", "requests whose body is not signed as a whole are not accepted here")
		}
	case !ascii.Hash(v):
		return "", sdk.Deny("token_malformed", "x-amz-content-sha256 is not 64 hexadecimal digits in lower case")
	case req.BodySHA256 != "" && v != req.BodySHA256:
		return "", sdk.Deny("payload_mismatch", "the body is not the one that was signed")
	}
	return v, nil
}

// noPayload gives what a request without the header means by that: no body, or for a presigned URL of S3 any.
func (p *Provider) noPayload(req awssig.Request, presigned bool) (string, error) {
	bodiless := req.Method == http.MethodGet || req.Method == http.MethodHead
	switch {
	case presigned && p.settings.rules().EscapeOnce && (bodiless || p.settings.UnsignedPayload):
		return awssig.UnsignedPayload, nil
	case presigned && !bodiless, !presigned && p.settings.RequireContentSHA256:
		return "", sdk.Deny("payload_hash_missing", "the header x-amz-content-sha256 is missing")
	case req.BodySHA256 != "":
		return req.BodySHA256, nil
	}
	return awssig.EmptyPayload, nil
}
