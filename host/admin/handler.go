package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/accesskey"
	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// principalStore is what the API asks the directory about principals and their secrets.
type principalStore interface {
	CreatePrincipal(ctx context.Context, realm string, n directory.NewPrincipal) (directory.Principal, directory.ClientSecret, error)
	GetPrincipal(ctx context.Context, realm, name string) (directory.Principal, error)
	ListPrincipals(ctx context.Context, realm string, p directory.Page) ([]directory.Principal, string, error)
	UpdatePrincipal(ctx context.Context, realm, name string, u directory.Update) (directory.Principal, error)
	DeletePrincipal(ctx context.Context, realm, name string) error
	RotateSecret(ctx context.Context, realm, name string) (directory.ClientSecret, error)
	ResetSecret(ctx context.Context, realm, name string) (directory.ClientSecret, error)
}

// roleStore is what the API asks the directory about roles and grants.
type roleStore interface {
	CreateRole(ctx context.Context, realm, name string, attributes map[string]string) (directory.Role, error)
	GetRole(ctx context.Context, realm, name string) (directory.Role, error)
	ListRoles(ctx context.Context, realm string, p directory.Page) ([]directory.Role, string, error)
	DeleteRole(ctx context.Context, realm, name string) error
	GrantRole(ctx context.Context, realm, principal, role string) error
	RevokeRole(ctx context.Context, realm, principal, role string) error
}

// Directory is what the API works on; *directory.Directory is one.
type Directory interface {
	principalStore
	roleStore
}

// Deps is what the API works on. Realms and Plugins are asked for each request.
type Deps struct {
	Directory Directory
	Realms    func() []Realm
	Plugins   func() []Plugin
	// Connections gives what serves the connections of a realm; nil: nothing does.
	Connections func(realm string) (*connection.Service, error)
	// AccessKeys gives what serves the access keys of a realm's principals; nil: nothing does.
	AccessKeys func(realm string) (*accesskey.Service, error)
	// Secrets gives the secret stores; nil: they cannot be reached.
	Secrets func() Secrets
	Logger  hclog.Logger // nil: silent
}

// Handler gives the API as an http.Handler. It does not authenticate: [Listen] admits only who may use it.
func Handler(d Deps) http.Handler {
	if d.Logger == nil {
		d.Logger = hclog.NewNullLogger()
	}
	return &handler{d}
}

type handler struct{ Deps }

// alone serves a call that has a path of its own, beside those of the handler.
func (h *handler) alone(serve func(*call) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r}
		if err := serve(c); err != nil {
			h.fail(c, err)
		}
	})
}

// call is one request on its way; names are decoded.
type call struct {
	w http.ResponseWriter
	r *http.Request
	// realm, name, role and access key as far as the route has them
	realm, name, role, key string
	reference              sdk.SecretRef // of a route to a secret
	action                 string        // e.g. principal.create
}

// route is what a path offers: an action per method.
type route map[string]func(*call) error

// ServeHTTP finds the route by the raw path: a name may hold any character, so a decoded or cleaned path would be another one.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r}
	if h.serveConnections(c) {
		return
	}
	rt, err := h.route(c)
	if err == nil {
		act, ok := rt[r.Method]
		if !ok {
			w.Header().Set("Allow", rt.allow())
			err = &Error{Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed, Message: "the method is not offered here"}
		} else {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			err = act(c)
		}
	}
	if err != nil {
		h.fail(c, err)
		return
	}
	switch {
	case r.Method == http.MethodGet:
	case !c.reference.IsZero():
		h.Logger.Info("secret store changed", "action", c.action, "reference", c.reference.String(), "peer", r.RemoteAddr, "request_id", sdk.RequestID(r.Context()))
	default:
		h.Logger.Info("directory changed", "action", c.action, "realm", c.realm, "name", c.name, "role", c.role, "access_key", c.key, "peer", r.RemoteAddr,
			"request_id", sdk.RequestID(r.Context()))
	}
}

var errNoRoute = &Error{Status: http.StatusNotFound, Code: CodeNotFound, Message: "there is nothing at this path"}

func (h *handler) route(c *call) (route, error) {
	segs := strings.Split(c.r.URL.EscapedPath(), "/")
	for i, s := range segs {
		name, err := url.PathUnescape(s)
		if err != nil || i > 0 && name == "" {
			return nil, errNoRoute
		}
		segs[i] = name
	}
	if len(segs) < 3 || segs[0] != "" || segs[1] != "v1" {
		return nil, errNoRoute
	}
	segs = segs[2:]
	if rt, err := h.secretRoute(c, segs); rt != nil || err != nil {
		return rt, err
	}
	switch {
	case len(segs) == 1 && segs[0] == "realms":
		return route{"GET": h.listRealms}, nil
	case len(segs) == 1 && segs[0] == "plugins":
		return route{"GET": h.listPlugins}, nil
	case len(segs) < 3 || segs[0] != "realms":
		return nil, errNoRoute
	}
	c.realm = segs[1]
	if len(segs) > 3 {
		c.name = segs[3]
	}
	c.action = actionOf(c.r.Method, segs[2], segs[3:])
	rt := h.realmRoute(c, segs[2], segs[3:])
	if rt == nil {
		return nil, errNoRoute
	}
	if !h.knows(c.realm) {
		return nil, h.noRealm(c.realm)
	}
	return rt, nil
}

// maxRealms is how many realms an error names.
const maxRealms = 10

// NoRealm says that there is no realm of this name, and which ones there are.
func NoRealm(name string, known []string) *Error {
	e := &Error{Status: http.StatusNotFound, Code: CodeNotFound, Message: "there is no such realm: " + strconv.Quote(name), Field: "realm"}
	switch more := len(known) - maxRealms; {
	case more > 0:
		e.Message += fmt.Sprintf("; there are %s and %d more", strings.Join(known[:maxRealms], ", "), more)
	case len(known) > 1:
		e.Message += "; there are " + strings.Join(known, ", ")
	case len(known) == 1:
		e.Message += "; there is " + known[0]
	}
	return e
}

// actionOf names what a change does: by what it is done to, and by the path's own verb or else the method.
func actionOf(method, noun string, rest []string) string {
	noun = strings.TrimSuffix(noun, "s")
	verb := map[string]string{http.MethodPost: "create", http.MethodPatch: "update", http.MethodDelete: "delete"}[method]
	switch {
	case len(rest) >= 2 && rest[1] == accessKeys:
		return "access_key." + verb
	case len(rest) == 2:
		return noun + "." + rest[1]
	case len(rest) == 3 && method == http.MethodPut:
		return "role.grant"
	case len(rest) == 3:
		return "role.revoke"
	}
	return noun + "." + verb
}

func (h *handler) realmRoute(c *call, noun string, rest []string) route {
	switch {
	case noun == "principals" && len(rest) == 0:
		return route{"GET": h.listPrincipals, "POST": h.createPrincipal}
	case noun == "principals" && len(rest) == 1:
		return route{"GET": h.getPrincipal, "PATCH": h.updatePrincipal, "DELETE": h.deletePrincipal}
	case noun == "principals" && len(rest) == 2 && rest[1] == "rotate":
		return route{"POST": h.secret(h.Directory.RotateSecret)}
	case noun == "principals" && len(rest) == 2 && rest[1] == "reset":
		return route{"POST": h.secret(h.Directory.ResetSecret)}
	case noun == "principals" && len(rest) == 2 && rest[1] == accessKeys:
		return route{"GET": h.listAccessKeys, "POST": h.createAccessKey}
	case noun == "principals" && len(rest) == 3 && rest[1] == accessKeys:
		c.key = rest[2]
		return route{"DELETE": h.deleteAccessKey}
	case noun == "principals" && len(rest) == 3 && rest[1] == "roles":
		c.role = rest[2]
		return route{"PUT": h.grant(h.Directory.GrantRole), "DELETE": h.grant(h.Directory.RevokeRole)}
	case noun == "roles" && len(rest) == 0:
		return route{"GET": h.listRoles, "POST": h.createRole}
	case noun == "roles" && len(rest) == 1:
		return route{"GET": h.getRole, "DELETE": h.deleteRole}
	}
	return nil
}

func (r route) allow() string {
	var out []string
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if r[m] != nil {
			out = append(out, m)
		}
	}
	return strings.Join(out, ", ")
}

func (h *handler) knows(realm string) bool {
	for _, r := range h.Realms() {
		if r.Name == realm {
			return true
		}
	}
	return false
}

func (h *handler) noRealm(name string) *Error {
	var known []string
	for _, r := range h.Realms() {
		known = append(known, r.Name)
	}
	return NoRealm(name, known)
}

// fail answers with an error.
func (h *handler) fail(c *call, err error) {
	e := h.translate(c, err)
	_ = c.write(e.Status, errorBody{e})
}

// translate gives an error as it is shown; one that is nobody's fault but ours is logged and not shown.
func (h *handler) translate(c *call, err error) (e *Error) {
	var invalid *directory.InvalidError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &invalid):
		e = &Error{Status: http.StatusBadRequest, Code: CodeInvalid, Message: invalid.Reason, Field: invalid.Field}
	case errors.Is(err, directory.ErrNotFound):
		e = &Error{Status: http.StatusNotFound, Code: CodeNotFound, Message: said(err)}
	case errors.Is(err, directory.ErrExists):
		e = &Error{Status: http.StatusConflict, Code: CodeExists, Message: said(err)}
	case errors.Is(err, directory.ErrConflict):
		e = &Error{Status: http.StatusConflict, Code: CodeConflict, Message: said(err)}
	case errors.Is(err, custody.ErrNoStore):
		e = &Error{Status: http.StatusBadRequest, Code: CodeInvalid, Message: custody.ErrNoStore.Error()}
	case errors.Is(err, secret.ErrNotGranted), errors.Is(err, secret.ErrReadOnly):
		e = &Error{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Message: "the realm's secret store cannot be written: " + err.Error()}
	case errors.Is(err, audit.ErrUnwritten):
		e = &Error{Status: http.StatusServiceUnavailable, Code: CodeUnaudited, Message: "nothing was changed: the audit log cannot be written; the daemon's log says more"}
	default:
		h.Logger.Error("admin request failed", "method", c.r.Method, "realm", c.realm, "name", c.name, "request_id", sdk.RequestID(c.r.Context()), "error", err)
		e = &Error{Status: http.StatusInternalServerError, Code: CodeInternal, Message: "the daemon failed; its log says more"}
	}
	return e
}

// said gives the directory's words without the name of the package.
func said(err error) string { return strings.TrimPrefix(err.Error(), "directory: ") }

// write answers with JSON; nobody may keep it, since it may hold a secret.
func (c *call) write(status int, v any) error {
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	c.w.WriteHeader(status)
	e := json.NewEncoder(c.w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a caller that has gone needs no answer
	return nil
}

func (h *handler) listRealms(c *call) error {
	return c.write(http.StatusOK, map[string][]Realm{"realms": nonNil(h.Realms())})
}

func (h *handler) listPlugins(c *call) error {
	return c.write(http.StatusOK, map[string][]Plugin{"plugins": nonNil(h.Plugins())})
}

// nonNil makes an empty list [] in JSON, not null.
func nonNil[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
