package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/realmgate/realmgate/sdk/egress"
)

// Failure is a question that was not answered as it should. Of the server's own words it keeps those that are known to say
// nothing of what was sent.
type Failure struct {
	Status int         // HTTP; 0 without an answer
	Said   string      // the known words, e.g. "permission denied"; empty if there are none
	Secret *api.Secret // what an answer of status 404 has beside its status; nil: nothing

	text     string
	alien    bool          // the answer is not the server's own: something in between gave it
	own      bool          // the answer is in the server's form
	inactive bool          // the node is not the one that answers questions: another one may be
	refused  bool          // it was not taken up: nothing was sent, or the server itself says that it does nothing now
	alone    bool          // it was not asked: it failed again and again
	after    time.Duration // the server wants that much time
	redirect *url.URL
}

// What a transit engine says (with status 500) to a version that it signs with no more, or does not have.
const (
	VersionTooOld = "requested version for signing is less than the minimum encryption key version"
	VersionTooNew = "requested version for signing is higher than the latest key version"
)

// The statuses of nodes that answer no questions, where a server or what balances the load says so.
const (
	statusDRSecondary        = 472
	statusPerformanceStandby = 473
)

// idle are the statuses with which a server says that it takes up nothing now.
var idle = []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusNotImplemented}

// known are words of the server that are repeated, the more telling first.
var known = []string{
	"Vault is sealed", "OpenBao is sealed", "invalid token", "bad token", "permission denied", "lease not found", "invalid lease",
	"lease is not renewable", "lease expired", "wrapping token is not valid or does not exist", "invalid role or secret ID", "invalid role ID",
	"invalid secret id", "missing client token", "no handler for route", "unsupported path", "unsupported operation", "encryption key not found",
	"signing key not found", "check-and-set parameter required", "check-and-set parameter did not match", "local node not active", "rate limit quota exceeded",
	"namespace not found", VersionTooOld, VersionTooNew, "no such key version",
	"cannot sign: key version is too new", "required index state not present", "invalid certificate or no client certificate supplied", "service account name not authorized",
	"namespace not authorized", "unknown role", "could not be found", "entity from mapped credentials is disabled", "preflight capability check returned 403",
	"path disabled in replication DR secondary mode",
}

// Error says what happened, in the server's own known words.
func (f *Failure) Error() string {
	if f.alone {
		return f.what() + ", and is left alone for a while"
	}
	return f.what()
}

func (f *Failure) what() string {
	switch {
	case strings.HasSuffix(f.Said, "is sealed"):
		return fmt.Sprintf("the server is sealed (status %d)", f.Status)
	case f.Said == "local node not active":
		return fmt.Sprintf("the node is a standby that finds no active one (status %d)", f.Status)
	case f.Said != "":
		return fmt.Sprintf("the server answers %d: %s", f.Status, f.Said)
	case f.alien:
		return fmt.Sprintf("something between here and the server answers %d, e.g. a proxy: it is not how Vault says so", f.Status)
	case f.text != "":
		return "the server " + f.text
	case f.Status == http.StatusNotImplemented:
		return "the server is not initialised (status 501)"
	case f.Status == http.StatusNotFound:
		return "the server answers 404: there is nothing at this path"
	}
	return fmt.Sprintf("the server answers %d; its own log may say why", f.Status)
}

// Denied says whether the server says that the token may not do that, or is none.
func (f *Failure) Denied() bool { return f.Status == http.StatusForbidden && !f.alien }

// Answered says whether the server itself took the question up, and answered no.
func (f *Failure) Answered() bool {
	return f.own && !f.refused && f.Status != http.StatusPreconditionFailed
}

// Alone says whether the server, of several the last one, was not asked, since it failed again and again.
func (f *Failure) Alone() bool { return f.alone }

// TokenInvalid says whether the server says that the token is none. Not every server has these words: one that only denies may
// mean it too.
func (f *Failure) TokenInvalid() bool {
	return f.Denied() && (f.Said == "invalid token" || f.Said == "bad token")
}

// unavailable says whether the same question may be answered later, or by another node.
func (f *Failure) unavailable() bool {
	if f.Said == VersionTooOld || f.Said == VersionTooNew {
		return false
	}
	return f.alien || f.inactive || f.Status == 0 || f.Status >= 500 || f.Status == http.StatusTooManyRequests || f.Status == http.StatusPreconditionFailed
}

// As gives the failure in an error; nil if there is none.
func As(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// Denied says whether an error is a failure of that kind.
func Denied(err error) bool {
	f := As(err)
	return f != nil && f.Denied()
}

// Says says whether an error is a failure in which the server says one of the words.
func Says(err error, words ...string) bool {
	f := As(err)
	if f == nil {
		return false
	}
	for _, w := range words {
		if f.Said == w {
			return true
		}
	}
	return false
}

// Status gives the HTTP status of an error; 0 if it has none, or one that is not the server's own.
func Status(err error) int {
	if f := As(err); f != nil && !f.alien {
		return f.Status
	}
	return 0
}

// leftAlone is the failure of a node that is not asked since it failed again and again; last is its last one, nil where others found
// out.
func leftAlone(last *Failure) *Failure {
	f := Failure{text: "fails again and again"}
	if last != nil {
		f = *last
	}
	f.alone, f.refused, f.after = true, true, 0
	return &f
}

// circle is the failure of nodes that redirect to each other, e.g. while they choose which one is active.
func circle(f *Failure) *Failure {
	return &Failure{Status: f.Status, text: "redirects in a circle: each node says that another one is active", inactive: true, refused: true}
}

// failureOf says what an error means. connected: there was a connection to send the question on.
func failureOf(err error, answer *api.Response, connected bool) *Failure {
	var no *api.ResponseError
	if errors.As(err, &no) {
		f := &Failure{Status: no.StatusCode}
		if !no.RawError {
			f.Said = said(no.Errors)
		}
		if answer != nil {
			f.after = retryAfter(answer.Header)
			if f.Status == http.StatusNotFound {
				f.Secret, _ = api.ParseSecret(answer.Body) // most have none
			}
		}
		f.own = vaults(no, f.Secret)
		f.inactive = f.Status == statusDRSecondary || f.Status == statusPerformanceStandby || f.Said == "path disabled in replication DR secondary mode"
		f.refused = f.own && (f.inactive || f.Said == "local node not active" || slices.Contains(idle, f.Status))
		f.alien = !f.own && f.Status < http.StatusInternalServerError && f.Status != http.StatusTooManyRequests
		return f
	}
	f := &Failure{}
	var to *url.Error
	f.refused = !connected
	switch {
	case errors.Is(err, egress.ErrRefused), errors.Is(err, egress.ErrTooLong):
		f.text = "cannot be asked: " + innermost(err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &to) && to.Timeout():
		f.text = "does not answer in time"
	case errors.Is(err, context.Canceled):
		f.text = "was not waited for"
	case errors.As(err, &to):
		f.text = "cannot be reached: " + innermost(to.Err)
	default:
		f.text = "cannot be asked"
	}
	return f
}

// vaults says whether a no is in the form in which a server gives it: with a list of words, or with what there is beside it.
func vaults(no *api.ResponseError, beside *api.Secret) bool {
	return !no.RawError && no.Errors != nil || beside != nil && beside.RequestID != ""
}

func said(errs []string) string {
	all := strings.ToLower(strings.Join(errs, "\n"))
	for _, words := range known {
		if strings.Contains(all, strings.ToLower(words)) {
			return words
		}
	}
	return ""
}

// innermost gives the text of the last error in a chain: the others repeat it with words around it.
func innermost(err error) string {
	for errors.Unwrap(err) != nil {
		if _, ok := err.(interface{ Timeout() bool }); ok { // the one of package net itself, with the address in it
			break
		}
		err = errors.Unwrap(err)
	}
	return err.Error()
}
