package awsiam

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

// bodies are those that a request for GetCallerIdentity can have.
var bodies = []string{"Action=" + action + "&Version=" + version, "Version=" + version + "&Action=" + action}

// sendable are the headers that may be signed, and so sent, beside the one with the audience. What is not signed is left out.
var sendable = []string{
	"amz-sdk-invocation-id", "amz-sdk-request", "amz-sdk-retry", "content-length", "content-type", "host", "user-agent", "x-amz-content-sha256",
	"x-amz-date", "x-amz-security-token", "x-amz-user-agent",
}

// readVault understands the four fields of a login with Vault's AWS method: the method, and in base64 URL, body and headers.
func (p *Provider) readVault(text string) (proof, error) {
	f, err := readFields(text)
	if err != nil {
		return proof{}, malformed(err)
	}
	host, e, rest, err := p.endpointOf(f.url)
	switch {
	case err != nil:
		return proof{}, err
	case rest != "":
		return proof{}, sdk.Deny("endpoint_not_allowed", "nothing may follow https://<host>/ in iam_request_url")
	case f.method != http.MethodPost:
		return proof{}, sdk.Deny("action_not_allowed", "iam_http_request_method has to be POST")
	case !slices.Contains(bodies, f.body):
		return proof{}, sdk.Deny("action_not_allowed", "iam_request_body has to be %s", bodies[0])
	}
	params, ok := strings.CutPrefix(f.header["authorization"], awssig.Algorithm+" ")
	if !ok {
		return proof{}, sdk.Deny("token_malformed", "the header Authorization does not begin with %s", awssig.Algorithm)
	}
	got, err := awssig.ParseAuthorization(params)
	if err != nil {
		return proof{}, malformed(err)
	}
	send, err := p.sendHeader(f, host, got)
	if err != nil {
		return proof{}, err
	}
	at, err := awssig.ParseTime(f.header["x-amz-date"])
	if err != nil {
		return proof{}, malformed(err)
	}
	if err := checkScope(got, e, at); err != nil {
		return proof{}, err
	}
	return proof{
		endpoint: e, host: host, method: f.method, body: f.body, header: send, keyID: got.KeyID, at: at, life: p.settings.MaxAge.Std(),
	}, nil
}

// sendHeader gives the headers for STS: Authorization and those that are signed.
func (p *Provider) sendHeader(f fields, host string, got awssig.Proof) (http.Header, error) {
	audience := p.audienceHeader(vaultAudience)
	switch v, there := f.header[audience]; {
	case !there || !got.Signs(audience):
		return nil, sdk.Deny("audience_missing", "the header %s with the audience is not there, or not signed", audience)
	case v != p.settings.Audience:
		return nil, sdk.Deny("audience_mismatch", "the proof is for another audience")
	case !got.Signs("x-amz-date"):
		return nil, sdk.Deny("header_not_signed", "the header x-amz-date has to be signed")
	case f.header["x-amz-security-token"] != "" && !got.Signs("x-amz-security-token"):
		return nil, sdk.Deny("header_not_signed", "the header x-amz-security-token has to be signed")
	}
	out := http.Header{"Authorization": {f.header["authorization"]}}
	for _, name := range got.Signed {
		if name != audience && !slices.Contains(sendable, name) {
			return nil, sdk.Deny("header_not_allowed", "the only headers that may be signed are %s and %s", strings.Join(sendable, ", "), audience)
		}
		v, there := f.header[name]
		if made, ok := map[string]string{"host": host, "content-length": strconv.Itoa(len(f.body))}[name]; ok && !there {
			v, there = made, true // libraries keep these beside the other headers
		}
		if !there {
			return nil, sdk.Deny("token_malformed", "the header %s is signed, but not there", name)
		}
		if err := checkHeader(name, v, host, f.body); err != nil {
			return nil, err
		}
		if name != "host" && name != "content-length" { // these are made anew
			out[http.CanonicalHeaderKey(name)] = []string{v}
		}
	}
	if out.Get("Content-Type") == "" { // not signed
		out.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	return out, nil
}

// checkHeader refuses values of signed headers that would make another request of it.
func checkHeader(name, value, host, body string) error {
	ok := true
	switch name {
	case "host":
		ok = value == host
	case "content-length":
		ok = value == strconv.Itoa(len(body))
	case "content-type":
		ok = slices.Contains([]string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8"}, strings.ToLower(value))
	case "x-amz-security-token":
		ok = isToken(value)
	}
	if !ok {
		return sdk.Deny("header_not_allowed", "the header %s does not fit the request", name)
	}
	return nil
}

// fields are what a login is made of, decoded. Names of headers are in lower case.
type fields struct {
	method, url, body string
	header            map[string]string
}

func readFields(text string) (fields, error) {
	const methodField, urlField, bodyField, headerField = "iam_http_request_method", "iam_request_url", "iam_request_body", "iam_request_headers"
	raw, err := object(text)
	if err != nil {
		return fields{}, err
	}
	value := map[string]string{}
	for _, name := range []string{methodField, urlField, bodyField, headerField} {
		var v string
		if json.Unmarshal(raw[name], &v) != nil || v == "" {
			return fields{}, fmt.Errorf("%s is missing, empty or no string", name)
		}
		if name != methodField {
			decoded, err := base64.StdEncoding.Strict().DecodeString(v)
			if err != nil {
				return fields{}, fmt.Errorf("%s is not base64", name)
			}
			v = string(decoded)
		}
		value[name] = v
	}
	if len(raw) != len(value) {
		return fields{}, fmt.Errorf("there are more fields than %s, %s, %s and %s", methodField, urlField, bodyField, headerField)
	}
	f := fields{method: value[methodField], url: value[urlField], body: value[bodyField]}
	f.header, err = readHeader(value[headerField])
	return f, err
}

// readHeader reads headers: an object of strings or of lists with one string. A name that is there twice, in whatever case,
// is an error.
func readHeader(text string) (map[string]string, error) {
	raw, err := object(text)
	if err != nil {
		return nil, fmt.Errorf("iam_request_headers: %w", err)
	}
	out := map[string]string{}
	for name, r := range raw {
		var list []string
		if json.Unmarshal(r, &list) != nil {
			list = make([]string, 1)
			if json.Unmarshal(r, &list[0]) != nil {
				return nil, errors.New("iam_request_headers: a header is neither a string nor a list of one")
			}
		}
		limit := maxValue
		name = strings.ToLower(name)
		if name == "x-amz-security-token" {
			limit = maxToken
		}
		if _, twice := out[name]; twice || len(list) != 1 {
			return nil, errors.New("iam_request_headers: a header is there twice, or has not one value")
		}
		if !isValue(list[0], limit) {
			return nil, errors.New("iam_request_headers: the value of a header is empty, too long, or not printable ASCII without spaces around it")
		}
		out[name] = list[0]
	}
	return out, nil
}

// object reads a JSON object of which no key is there twice.
func object(text string) (map[string]json.RawMessage, error) {
	errNone := errors.New("this is not a JSON object, or a key is there twice")
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNone
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if _, twice := out[name]; err != nil || !ok || twice {
			return nil, errNone
		}
		var v json.RawMessage
		if d.Decode(&v) != nil {
			return nil, errNone
		}
		out[name] = v
	}
	if _, err := d.Token(); err != nil || strings.TrimSpace(text[d.InputOffset():]) != "" {
		return nil, errNone
	}
	return out, nil
}
