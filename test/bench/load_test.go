package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// ask is a request as it goes over the wire, and who a right answer names; nobody if it has none to name.
type ask struct {
	raw []byte
	who string
}

// check makes the ask for a decision about a token.
func check(realm, token, who string) ask {
	return ask{raw: []byte("GET /realms/" + realm + "/v1/check HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + token + "\r\n\r\n"), who: who}
}

// asks are what callers ask for, in turn.
type asks struct {
	again []ask // again and again
	fresh []ask // once each
	every int   // one in so many asks is fresh; 0: none

	mu    sync.Mutex
	next  int
	begun int // of fresh
}

// take gives the next ask; false from where one is to be fresh and there is none left, so that no sample has fewer than it says.
func (a *asks) take() (ask, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.every == 0 || (a.next+1)%a.every > 0 {
		a.next++
		return a.again[a.next%len(a.again)], true
	}
	if a.begun == len(a.fresh) {
		return ask{}, false // and so for all callers until there are more
	}
	a.next, a.begun = a.next+1, a.begun+1
	return a.fresh[a.begun-1], true
}

// sample is what was seen of a server for a while.
type sample struct {
	took   time.Duration
	cpu    time.Duration   // of the processes that serve
	plugin time.Duration   // of it, that of all but the first
	lat    []time.Duration // of each answer
}

// server is what is asked.
type server struct {
	address string
	pids    func() ([]int, error) // whose time counts
	names   bool                  // whether its answers name the caller
}

// load has callers ask a server for a while, or until there is nothing left to ask, each over a connection of its own that is kept. Every answer has to be right.
func load(s server, a *asks, callers int, during time.Duration) (sample, error) {
	all := make([]*caller, callers)
	for n := range all {
		c, err := s.dial()
		if err != nil {
			return sample{}, err
		}
		defer c.close()
		all[n] = c
	}
	pids, err := s.pids()
	if err != nil {
		return sample{}, err
	}
	first, others, err := cpuTimes(pids)
	if err != nil {
		return sample{}, err
	}
	begun := time.Now()
	end := begun.Add(during)
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() { c.run(a, end) })
	}
	wg.Wait()
	out := sample{took: time.Since(begun)}
	firstAfter, othersAfter, err := cpuTimes(pids)
	out.plugin = othersAfter - others
	out.cpu = out.plugin + firstAfter - first
	for _, c := range all {
		err = errors.Join(err, c.err)
		out.lat = append(out.lat, c.lat...)
	}
	return out, err
}

// caller asks one thing after the other.
type caller struct {
	conn  net.Conn
	in    *bufio.Reader
	names bool
	lat   []time.Duration
	err   error
}

// slow bounds the wait for anything.
const slow = time.Minute

// dial connects a caller, who has to be done before long.
func (s server) dial() (*caller, error) {
	conn, err := net.DialTimeout("tcp", s.address, slow)
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, in: bufio.NewReader(conn), names: s.names}, conn.SetDeadline(time.Now().Add(slow))
}

func (c *caller) close() { _ = c.conn.Close() } // nothing is lost with it

func (c *caller) run(a *asks, end time.Time) {
	for now := time.Now(); now.Before(end); {
		next, ok := a.take()
		if !ok {
			return
		}
		if c.err = c.once(next); c.err != nil {
			return
		}
		then := time.Now()
		c.lat = append(c.lat, then.Sub(now))
		now = then
	}
}

func (c *caller) once(a ask) error {
	if _, err := c.conn.Write(a.raw); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK {
		_, err = io.Copy(io.Discard, res.Body)
		if who := res.Header.Get("Realmgate-Principal"); err == nil && c.names && who != a.who {
			err = fmt.Errorf("the answer names %q, want %q", who, a.who)
		}
		return err
	}
	body, err := io.ReadAll(res.Body)
	first, _, _ := bytes.Cut(a.raw, []byte("\r\n"))
	return errors.Join(err, fmt.Errorf("%s: %s %s", first, res.Status, strings.TrimSpace(string(body))))
}

// quantile gives the time that a share of answers does not exceed.
func quantile(lat []time.Duration, share float64) time.Duration {
	if len(lat) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(lat))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
