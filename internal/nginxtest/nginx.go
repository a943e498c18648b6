package nginxtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/internal/need"
)

const (
	attempts     = 5
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// Server is a running nginx.
type Server struct {
	addresses map[string]string
	log       capture.Buffer
}

// frame is the configuration around the test's own part. One process in the foreground, as the user who runs the test,
// leaves nothing behind; all files are in the test's folder.
const frame = `daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
%s
}
`

// Start runs nginx until the test ends and returns when it has taken its ports. config is what stands in the http block; it
// is a text/template in which {{listen "name"}} gives a free loopback address, the same one for the same name.
func Start(t testing.TB, config string) *Server {
	t.Helper()
	nginx := need.Command(t, "nginx", "/usr/sbin", "/usr/local/sbin")
	var s *Server
	for range attempts {
		s = &Server{addresses: map[string]string{}}
		if s.start(t, nginx, config) {
			return s
		}
		if !strings.Contains(s.log.String(), "Address already in use") {
			break
		}
	}
	t.Fatalf("nginxtest: nginx does not start:\n%s", &s.log)
	return nil
}

// start says whether nginx runs; its log has the reason if it does not.
func (s *Server) start(t testing.TB, nginx, config string) bool {
	t.Helper()
	dir := t.TempDir()
	text, err := s.render(config)
	if err != nil {
		t.Fatalf("nginxtest: %v", err)
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, frame, text), 0o600); err != nil {
		t.Fatalf("nginxtest: %v", err)
	}
	cmd := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("nginxtest: %v", err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(stopTimeout):
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("nginxtest: nginx's log:\n%s", &s.log)
		}
	})
	return s.wait(t, filepath.Join(dir, "nginx.pid"), done)
}

// URL gives where the listener with this name is reached: http://127.0.0.1:PORT.
func (s *Server) URL(name string) string { return "http://" + s.Addr(name) }

// Addr gives the address of the listener with this name: 127.0.0.1:PORT.
func (s *Server) Addr(name string) string { return s.addresses[name] }

// render fills in the addresses. Another process may take a port before nginx does; then all is tried again.
func (s *Server) render(config string) (string, error) {
	var held []net.Listener // so that no two names get one port
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	listen := func(name string) (string, error) {
		if addr, ok := s.addresses[name]; ok {
			return addr, nil
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		held = append(held, l)
		s.addresses[name] = l.Addr().String()
		return s.addresses[name], nil
	}
	tmpl, err := template.New("nginx.conf").Funcs(template.FuncMap{"listen": listen}).Parse(config)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = tmpl.Execute(&b, nil)
	return b.String(), err
}

// wait returns true when nginx has written its pid: it has read its configuration and taken its ports by then. It returns
// false when nginx has ended.
func (s *Server) wait(t testing.TB, pid string, done <-chan struct{}) bool {
	t.Helper()
	deadline := time.After(startTimeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return false
		case <-deadline:
			t.Fatalf("nginxtest: nginx is not ready in %s:\n%s", startTimeout, &s.log)
		case <-tick.C:
			if content, err := os.ReadFile(pid); err == nil && len(content) > 0 {
				return true
			}
		}
	}
}
