package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/realmgate/realmgate/host/directory"
)

const (
	maxBody      = 64 << 10
	defaultLimit = 100
	maxLimit     = 1000
)

func invalid(field, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeInvalid, Message: message, Field: field}
}

// posted reads the body of a call that is made by POST alone.
func (c *call) posted(v any) error {
	if c.r.Method != http.MethodPost {
		c.w.Header().Set("Allow", http.MethodPost)
		return &Error{Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed, Message: "the method is not offered here"}
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxBody)
	return c.decode(v)
}

// decode reads one JSON object into v, strictly.
func (c *call) decode(v any) error {
	d := json.NewDecoder(c.r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is text behind the JSON object")
			var tooLarge *http.MaxBytesError
			if errors.As(more, &tooLarge) {
				err = more
			}
		}
	}
	return bodyError(err)
}

// empty makes sure that a request which takes no body has none.
func (c *call) empty() error {
	b, err := io.ReadAll(c.r.Body)
	if err == nil && len(b) > 0 {
		return invalid("", "a body is not taken here")
	}
	return bodyError(err)
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: CodeTooLarge, Message: "the body is too large"}
	case errors.As(err, &kind):
		return invalid(kind.Field, "a value of another kind is wanted, not a "+kind.Value)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid(strings.Trim(field, `"`), "there is no such key")
	}
	return invalid("", "the body is not the JSON object that is wanted")
}

// page reads after and limit from the query; anything else there is a mistake.
func (c *call) page() (directory.Page, error) {
	p := directory.Page{Limit: defaultLimit}
	for key, values := range c.r.URL.Query() {
		switch {
		case len(values) != 1:
			return p, invalid(key, "is given more than once")
		case key == "after":
			p.After = values[0]
		case key == "limit":
			n, err := strconv.Atoi(values[0])
			if err != nil || n < 1 || n > maxLimit {
				return p, invalid(key, "has to be a number from 1 to "+strconv.Itoa(maxLimit))
			}
			p.Limit = n
		default:
			return p, invalid(key, "there is no such parameter")
		}
	}
	return p, nil
}
