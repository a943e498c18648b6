package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// question is what is asked of the daemon again and again.
type question struct {
	realm, token string
	// right says whether an answer is the right one of a generation, which is a number that the test gives out.
	right func(r reply, generation int64) bool
}

// reply is what the daemon says.
type reply struct {
	status                    int
	realm, who, roles, reason string
}

// unavailable says whether the daemon owns up to being at fault, and says nothing else.
func (r reply) unavailable() bool {
	return r == reply{status: http.StatusServiceUnavailable, reason: "unavailable"}
}

// allows gives what is right if the answer is always a yes to this principal with these roles.
func allows(realm, who, roles string) func(reply, int64) bool {
	return func(r reply, _ int64) bool {
		return r == reply{status: http.StatusOK, realm: realm, who: who, roles: roles}
	}
}

// denies gives what is right if the answer is always a no for this reason.
func denies(reason string) func(reply, int64) bool {
	return func(r reply, _ int64) bool { return r == reply{status: http.StatusUnauthorized, reason: reason} }
}

const (
	users = 6                    // ask at the same time
	pace  = 2 * time.Millisecond // after each answer
	slow  = 15 * time.Second     // no answer takes so long
)

// load asks a daemon questions until it is ended. A request may be answered by each generation that was current in the course
// of it: from the last one that is known to have served when it began, to the last one that may serve when it has ended.
type load struct {
	t         *testing.T
	g         *gate
	questions []question
	since, to atomic.Int64 // generations

	right, unavailable atomic.Int64
	wrong              atomic.Int64

	severed atomic.Bool // the daemon is killed: requests may have no answer

	stop   context.CancelFunc
	users  sync.WaitGroup
	client *http.Transport
}

// begin asks from now on; generation is the one that serves.
func (g *gate) begin(questions []question, generation int64) *load {
	ctx, stop := context.WithCancel(g.t.Context())
	l := &load{t: g.t, g: g, questions: questions, stop: stop, client: &http.Transport{MaxIdleConnsPerHost: users}}
	l.since.Store(generation)
	l.to.Store(generation)
	for user := range users {
		l.users.Go(func() {
			for n := user; ctx.Err() == nil; n++ {
				l.ask(questions[n%len(questions)])
				time.Sleep(pace) // the load is steady, and leaves the machine to others too
			}
		})
	}
	return l
}

// end returns when nobody asks any more.
func (l *load) end() {
	l.stop()
	l.users.Wait()
	l.client.CloseIdleConnections()
	l.t.Logf("%d right answers, %d unavailable", l.right.Load(), l.unavailable.Load())
	if l.right.Load() == 0 {
		l.t.Error("no answer was right")
	}
}

// uninterrupted ends the load and fails if anything was unavailable; the daemon's log has why.
func (l *load) uninterrupted() {
	l.t.Helper()
	l.end()
	if n := l.unavailable.Load(); n > 0 {
		l.t.Errorf("%d answers were unavailable: %.2000q", n, unavailable.FindAllString(l.g.Log.String(), 5))
	}
}

// unavailable finds in the daemon's log why decisions were.
var unavailable = regexp.MustCompile(`(?m)^.* verdict=unavailable .*$`)

func (l *load) ask(q question) {
	since := l.since.Load()
	r, err := l.get(q)
	to := l.to.Load()
	switch {
	case err != nil && l.severed.Load():
	case err != nil:
		l.fail("realm %s: no answer: %v", q.realm, err)
	case r.unavailable():
		l.unavailable.Add(1)
	default:
		for g := since; g <= to; g++ {
			if q.right(r, g) {
				l.right.Add(1)
				return
			}
		}
		l.fail("realm %s, token %.40s: the answer %+v is wrong in the generations %d to %d", q.realm, q.token, r, since, to)
	}
}

// fail tells of the first faults, and counts all.
func (l *load) fail(format string, args ...any) {
	if l.wrong.Add(1) <= 5 {
		l.t.Error(time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
	}
}

func (l *load) get(q question) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), slow) // one that has begun is answered
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.g.URL+"/realms/"+q.realm+"/v1/check", nil)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+q.token)
	res, err := l.client.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	var body struct {
		Realm     string
		Principal struct{ Name string }
		Roles     []string
		Error     struct{ Reason string }
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return reply{}, fmt.Errorf("%w: %s", err, text)
	}
	out := reply{res.StatusCode, body.Realm, body.Principal.Name, strings.Join(body.Roles, ","), body.Error.Reason}
	for header, value := range map[string]string{"Realm": out.realm, "Principal": out.who, "Roles": out.roles} {
		if got := res.Header.Get("Realmgate-" + header); got != value {
			return out, fmt.Errorf("the header says %q, but the body %+v", got, out)
		}
	}
	return out, nil
}

// moves says that a further generation may serve from now on, and gives what says that no former one does.
func (l *load) moves() (done func()) {
	next := l.to.Add(1)
	return func() { l.since.Store(next) }
}

// answers waits for a number of right answers from now on.
func (l *load) answers(n int64) {
	l.t.Helper()
	from := l.right.Load()
	await(l.t, "right answers", func() bool { return l.right.Load() >= from+n })
}

// patience is how long a condition is waited for: the machine may have much else to do.
const patience = 3 * time.Minute

// await waits for a condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// served waits until each question has its right answer of a generation.
func (g *gate) served(questions []question, generation int64) {
	g.t.Helper()
	l := &load{t: g.t, g: g, client: &http.Transport{}}
	defer l.client.CloseIdleConnections()
	for _, q := range questions {
		var r reply
		var err error
		for end := time.Now().Add(patience); err != nil || !q.right(r, generation); r, err = l.get(q) {
			if time.Now().After(end) {
				g.t.Fatalf("realm %s is not served: %+v %v", q.realm, r, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
