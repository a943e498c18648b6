package awsiam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// maxAnswer bounds an answer of STS in bytes; a real one has less than 1 KiB.
const maxAnswer = 16 << 10

// throttles are the error codes with which STS says, whatever the status, that it is not the proof that is at fault.
var throttles = []string{
	"InternalError", "InternalFailure", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "ServiceUnavailable", "SlowDown",
	"Throttling", "ThrottlingException", "TooManyRequestsException", "ServiceUnavailableException",
}

// request makes the request for STS out of a proof. Nothing of the caller's own request is in it.
func (p proof) request(ctx context.Context) (*http.Request, error) {
	u := url.URL{Scheme: p.endpoint.scheme, Host: p.host, Path: "/", RawQuery: p.query}
	var body io.Reader
	if p.body != "" {
		body = strings.NewReader(p.body)
	}
	r, err := http.NewRequestWithContext(ctx, p.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header = p.header.Clone()
	r.Header.Set("Accept-Encoding", "identity")
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "realmgate")
	}
	return r, nil
}

// ask sends a proof to STS, with a client that follows no redirects: another host would say who the caller is. A denial says that STS refuses it; another error, that STS did not say anything about it.
func ask(ctx context.Context, c *http.Client, p proof) (caller, error) {
	r, err := p.request(ctx)
	if err != nil {
		return caller{}, err
	}
	answer, err := c.Do(r)
	if err != nil {
		var of *url.Error // its text has the URL, and that has the signature
		if errors.As(err, &of) {
			err = of.Err
		}
		return caller{}, fmt.Errorf("sts at %s: %w", p.host, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	raw, err := egress.ReadAll(answer.Body, maxAnswer)
	if err != nil {
		return caller{}, fmt.Errorf("sts at %s: %w", p.host, err)
	}
	got, err := judge(answer, raw)
	if err != nil && sdk.AsDenial(err) == nil {
		err = fmt.Errorf("sts at %s answers %s: %w", p.host, answer.Status, err)
	}
	return got, err
}

// judge reads an answer. Whatever is not an answer of STS, even if it has the status of one, says nothing about the proof.
func judge(answer *http.Response, raw []byte) (caller, error) {
	status := answer.StatusCode
	if status != http.StatusOK && (status < 400 || status > 499) {
		return caller{}, errors.New("this is no answer to the question")
	}
	if typ, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || typ != "text/xml" && typ != "application/xml" {
		return caller{}, errors.New("it is not XML by its content type")
	}
	if status == http.StatusOK {
		return readCaller(string(raw))
	}
	code, err := readError(string(raw))
	switch {
	case err != nil:
		return caller{}, err
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || slices.Contains(throttles, code):
		return caller{}, fmt.Errorf("it has no time for this caller (%s)", code)
	}
	return caller{}, sdk.Deny("proof_refused", "STS refuses the signed request: %s. If the signature does not match, the request may be signed for another audience", code)
}
