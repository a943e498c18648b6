package connection

import (
	"net/http"
	"strconv"

	"github.com/realmgate/realmgate/host/directory"
)

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
