package bench

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
)

// said is an answer that the bare handler gives.
type said struct {
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
}

// newBare starts the bare handler, which gives answers as the daemon does: to GET one about a decision, to POST one with a token.
func newBare(t *testing.T, decision, token daemontest.Answer) server {
	t.Helper()
	answers := map[string]said{}
	for method, a := range map[string]daemontest.Answer{http.MethodGet: decision, http.MethodPost: token} {
		if a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Text)
		}
		s := said{Header: map[string]string{}, Body: a.Text}
		for name := range a.Header {
			if name != "Date" && name != "Content-Length" { // of the server itself
				s.Header[name] = a.Header.Get(name)
			}
		}
		answers[method] = s
	}
	cmd := exec.Command(buildtest.Command(t, "test/bench/bare", "bare"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var faults strings.Builder
	cmd.Stderr = &faults
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends by itself
		if err := cmd.Wait(); err != nil {
			t.Errorf("the bare handler: %v: %s", err, faults.String())
		}
	})
	if err := json.NewEncoder(in).Encode(answers); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{cmd.Process.Pid}
	return server{address: strings.TrimSpace(address), pids: func() ([]int, error) { return pids, nil }}
}
