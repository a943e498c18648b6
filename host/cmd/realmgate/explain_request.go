package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/server"
	"github.com/realmgate/realmgate/sdk"
)

// readRequest reads an HTTP request, without its body, and takes its credential. It is taken for one over https, unless its
// request line says otherwise.
func readRequest(in io.Reader, q *admin.ExplainRequest) error {
	text, err := io.ReadAll(io.LimitReader(in, maxCredential+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the request: %w", err)
	case len(text) > maxCredential: // what is cut off might be what decides
		return fmt.Errorf("the request on standard input is longer than %d bytes; give its request line and headers, without the body", maxCredential)
	}
	// A file that ends with its last header has no empty line behind it.
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(text), strings.NewReader("\r\n\r\n"))))
	if err != nil {
		return fmt.Errorf("standard input is no HTTP request: %w", err)
	}
	q.HTTP = &admin.ExplainHTTP{Method: r.Method, Scheme: "https", Host: r.Host, Target: r.RequestURI}
	if r.URL.Scheme != "" {
		q.HTTP.Scheme, q.HTTP.Target = r.URL.Scheme, r.URL.RequestURI()
	}
	for name, values := range r.Header {
		for _, v := range values {
			q.HTTP.Header = append(q.HTTP.Header, admin.ExplainHeader{Name: strings.ToLower(name), Value: v})
		}
	}
	slices.SortStableFunc(q.HTTP.Header, func(a, b admin.ExplainHeader) int { return strings.Compare(a.Name, b.Name) })
	return takeCredential(r.Header.Values("Authorization"), q)
}

// takeCredential finds the credential of a request where the check door does: in its one Authorization, or in its query.
func takeCredential(headers []string, q *admin.ExplainRequest) error {
	const wanted = "the request on standard input has to have one Authorization header, or a signature of AWS in its query"
	switch len(headers) {
	case 0:
		if q.Scheme, q.Token = server.Presigned(messageOf(q.HTTP)); q.Scheme == "" {
			return errors.New(wanted)
		}
		return nil
	case 1:
	default:
		return errors.New(wanted)
	}
	var ok bool
	if q.Scheme, q.Token, ok = strings.Cut(headers[0], " "); !ok || q.Token == "" {
		return errors.New("the Authorization header of the request on standard input is malformed")
	}
	return nil
}

// messageOf gives the request as parts see it.
func messageOf(h *admin.ExplainHTTP) *sdk.HTTPMessage {
	if h == nil {
		return nil
	}
	out := &sdk.HTTPMessage{Method: h.Method, Scheme: h.Scheme, Host: h.Host, RawTarget: h.Target}
	for _, f := range h.Header {
		out.Header = append(out.Header, sdk.Header{Name: strings.ToLower(f.Name), Value: f.Value})
	}
	return out
}
