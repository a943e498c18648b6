package proxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/sdk/egress"
)

// handler serves one door.
type handler struct {
	proxy  *Proxy
	remote *remote
	door   *[sha256.Size]byte
}

// outgoing is a request that goes out.
type outgoing struct {
	url      *url.URL
	header   http.Header
	body     io.ReadCloser
	length   int64 // -1: unknown
	received *counted
}

// ServeHTTP signs a request and forwards it. There is no mux in front: that would clean paths.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	a := &answer{ResponseWriter: w, body: r.ContentLength != 0}
	conn := http.NewResponseController(w)
	_ = conn.EnableFullDuplex() // an answer that begins early does not end the body
	body := &counted{ReadCloser: r.Body, conn: conn, limit: h.proxy.c.BodyTimeout, ended: r.ContentLength == 0}
	defer body.leave()
	defer func() { h.log(r, a, body, time.Since(began)) }()
	out, whole, f := h.prepare(r, body)
	defer whole.close()
	if f != nil {
		a.fail(f)
		return
	}
	// What the forwarder looks at in the client's headers has been dealt with.
	inner := r.WithContext(context.WithValue(r.Context(), outgoingKey{}, out))
	inner.Header = http.Header{}
	if strings.EqualFold(r.Header.Get("Te"), "trailers") {
		out.header.Set("Te", "trailers")
	}
	h.proxy.forward.ServeHTTP(a, inner)
}

// prepare has a request signed.
func (h *handler) prepare(r *http.Request, body *counted) (out *outgoing, whole *spooled, f *fault) {
	if !admits(h.door, r.Header) {
		return nil, nil, &fault{http.StatusUnauthorized, codeToken, "this address takes requests with the proxy's token only: as " + tokenHeader + ", as a bearer token, or as the access key id of a client that signs", nil}
	}
	if f = unsupported(r); f != nil {
		return nil, nil, f
	}
	path, f := targetPath(r)
	if f != nil {
		return nil, nil, f
	}
	header, f := headersOf(r)
	if f != nil {
		return nil, nil, f
	}
	t, err := h.remote.now(r.Context())
	if err != nil {
		return nil, nil, unsigned(err)
	}
	hash, read, f := payloadOf(r, t)
	if f != nil {
		return nil, nil, f
	}
	out = &outgoing{body: body, length: r.ContentLength, received: body}
	if read {
		if whole, f = spool(body, r.ContentLength, h.proxy.c.MaxBody); f != nil {
			return nil, nil, f
		}
		hash, out.body, out.length = whole.hash, io.NopCloser(whole.reader()), whole.size
	}
	s, err := h.proxy.c.Daemon.SignForConnection(r.Context(), h.proxy.c.Realm, h.remote.name, queryOf(r.Method, t, path, header, hash, out.length))
	if err != nil {
		h.remote.forget()
		return nil, whole, unsigned(err)
	}
	if f = out.take(s, t, path); f != nil {
		return nil, whole, f
	}
	if !read && r.ContentLength != 0 && r.Header.Get("Expect") != "" {
		out.header.Set("Expect", "100-continue")
	}
	return out, whole, nil
}

// take puts a signature into a request.
func (o *outgoing) take(s connection.Signed, t target, path string) *fault {
	u, err := signedURL(s, t, path)
	if err != nil {
		return &fault{http.StatusBadGateway, codeAnswer, err.Error(), nil}
	}
	o.url, o.header = u, http.Header{}
	for name, values := range s.Headers {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Host", "Content-Length", "Transfer-Encoding", "Connection":
		default:
			o.header[name] = append(o.header[name], values...)
		}
	}
	return nil
}

type outgoingKey struct{}

func outgoingOf(r *http.Request) *outgoing { return r.Context().Value(outgoingKey{}).(*outgoing) }

// forwarder sends prepared requests and streams their answers.
func (p *Proxy) forwarder() *httputil.ReverseProxy {
	p.buffers.New = func() any { b := make([]byte, 32<<10); return &b }
	return &httputil.ReverseProxy{
		Transport: p.transport, FlushInterval: -1, BufferPool: p, ErrorHandler: p.failed,
		Rewrite: func(r *httputil.ProxyRequest) {
			o := outgoingOf(r.In)
			r.Out.URL, r.Out.Host, r.Out.Header, r.Out.TransferEncoding = o.url, o.url.Host, o.header, nil
			r.Out.Body, r.Out.ContentLength, r.Out.Trailer = o.body, o.length, r.In.Trailer
			if o.length == 0 {
				r.Out.Body = nil
			}
		},
	}
}

// Get is httputil.BufferPool's.
func (p *Proxy) Get() []byte { return *p.buffers.Get().(*[]byte) }

// Put is httputil.BufferPool's.
func (p *Proxy) Put(b []byte) { p.buffers.Put(&b) }

// failed answers when there is no answer of the remote system.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	a := w.(*answer)
	f := &fault{http.StatusBadGateway, codeRemote, "the remote system cannot be reached", err}
	var dns *net.DNSError
	switch broken := outgoingOf(r).received.broken.Load(); {
	case broken != nil:
		f = broken
	case errors.Is(err, egress.ErrRefused):
		f.code, f.message = codeAddress, "the remote system's host leads to an address that is refused (--deny-addresses)"
	case errors.As(err, &dns):
		f.message = "the remote system's host cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		f.status, f.code, f.message = http.StatusGatewayTimeout, codeTimeout, "the remote system does not answer in time"
	case strings.Contains(err.Error(), "x509: ") || strings.Contains(err.Error(), "tls: "):
		f.message = "no TLS connection can be made to the remote system: its certificate is not trusted, or it speaks no TLS"
	}
	if r.Context().Err() != nil {
		f.cause = nil // the client has gone, and nobody is at fault
	}
	a.fail(f)
}

// answer notes what is answered.
type answer struct {
	http.ResponseWriter
	body   bool // the request has one
	status int
	n      int64
	fault  *fault
}

// Unwrap is that of http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader notes the status that is not one of information.
func (a *answer) WriteHeader(status int) {
	if status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (a *answer) Write(b []byte) (int, error) {
	n, err := a.ResponseWriter.Write(b)
	a.n += int64(n)
	return n, err
}

func (a *answer) fail(f *fault) {
	a.fault = f
	if a.body {
		a.Header().Set("Connection", "close") // what is left of the body is not waited for
	}
	f.write(a)
}

// log writes a line about a request: no query and no header, since they may hold secrets.
func (h *handler) log(r *http.Request, a *answer, body *counted, took time.Duration) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	line := []any{
		"connection", h.remote.name, "method", r.Method, "path", path[:min(len(path), 512)], "status", a.status,
		"received", body.n.Load(), "sent", a.n, "took", took.Round(time.Microsecond).String(),
	}
	log := h.proxy.c.Logger.Info
	if f := a.fault; f != nil {
		line = append(line, "code", f.code)
		if f.cause != nil {
			line = append(line, "error", f.cause)
		}
		if f.status > http.StatusNotImplemented {
			log = h.proxy.c.Logger.Warn
		}
	}
	log("request", line...)
}
