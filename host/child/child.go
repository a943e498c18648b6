package child

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/realmgate/realmgate/sdk/serve"
)

const (
	maxHandshake = 8 << 10                // bytes of the first line; an automatic certificate takes about 900
	pipeGrace    = 300 * time.Millisecond // for output that is still in a pipe when its process has ended
)

// child is one operating-system process. It is a runner.Runner of go-plugin, which sees of the process no more than a
// checked handshake line: the pipes belong to the child, so that neither junk nor a grandchild that holds them open can
// wedge anything. Executing a binary is here only.
type child struct {
	image   *Image
	dir     string // for the socket
	user    *User  // nil: the daemon's
	env     []string
	timeout time.Duration // for the handshake
	starter *Starter
	out     *output

	lineR  *io.PipeReader // the handshake, as go-plugin reads it; ends with the process
	lineW  *io.PipeWriter
	exited chan struct{} // closed when the process has ended
	done   chan struct{} // closed when its output is read, too

	mu      sync.Mutex
	address string    // where it listens, once it has said so
	cmd     *exec.Cmd // nil until started
	killed  bool      // a kill came before the start
	reaped  bool
	group   *group // nil where there are none
	exit    error
	refused *Refusal
}

func newChild(i *Image, dir string, o *output, s *Starter, timeout time.Duration) *child {
	c := &child{image: i, dir: dir, timeout: timeout, starter: s, out: o, exited: make(chan struct{}), done: make(chan struct{})}
	c.env = i.program.Limits.environment() // the operator's own wins
	for k, v := range i.program.Env {
		c.env = append(c.env, k+"="+v)
	}
	c.lineR, c.lineW = io.Pipe()
	return c
}

// Start starts the process; it is called by go-plugin. The environment of the contract comes last and so wins. The working
// directory is the daemon's, see [User.home] for that of another user.
func (c *child) Start(context.Context) (err error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, outR.Close(), outW.Close())
	}
	cmd := &exec.Cmd{Args: append([]string{c.image.program.Path}, c.image.program.Args...)}
	cmd.Env = append(c.env, serve.LogLevelVariable+"="+c.out.log.GetLevel().String(), plugin.EnvUnixSocketDir+"="+c.dir)
	cmd.Stdout, cmd.Stderr = outW, errW // files: no goroutine of exec waits for their end
	isolate(cmd)
	c.user.become(cmd)
	c.group.enter(cmd.SysProcAttr)
	err = c.starter.do(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.killed {
			return context.Canceled
		}
		return c.image.use(func(path string) error {
			cmd.Path = path
			if c.user != nil {
				open, err := c.foretell(cmd, path)
				if open != nil {
					defer func() { _ = open.Close() }() // the child has it
				}
				if err != nil {
					return err
				}
			}
			return born(c.dir, func() (int, error) {
				if err := cmd.Start(); err != nil {
					return 0, err
				}
				c.cmd = cmd
				return cmd.Process.Pid, nil
			})
		})
	})
	if err = errors.Join(err, outW.Close(), errW.Close()); err != nil {
		c.refuse(ReasonExec, fmt.Sprintf("cannot be executed: %v", pathless(err)))
		_ = c.lineW.Close()
		close(c.exited)
		close(c.done)
		return errors.Join(err, outR.Close(), errR.Close())
	}
	c.restrict()
	var pipes sync.WaitGroup
	pipes.Go(func() { c.readStdout(outR) })
	pipes.Go(func() {
		w := c.out.from(Stderr)
		_, _ = io.Copy(w, errR) // ends with the pipe
		w.flush()
	})
	go c.reap(&pipes, outR, errR)
	return nil
}

func (c *child) readStdout(r io.Reader) {
	overdue := time.AfterFunc(c.timeout, func() {
		c.refuse(ReasonTimeout, fmt.Sprintf("no handshake within %v%s", c.timeout, c.said()))
		c.kill()
	})
	b := bufio.NewReaderSize(r, maxHandshake)
	line, err := b.ReadSlice('\n')
	overdue.Stop()
	switch checked, refused := checkHandshake(string(line), c.image.program.TLS, c.user != nil, c.dir); {
	case err != nil && len(line) == 0:
		select { // what there is to say is known when it has ended
		case <-c.exited:
		case <-time.After(pipeGrace):
		}
		_ = c.lineW.Close()
		c.kill()
	case errors.Is(err, bufio.ErrBufferFull):
		c.refuse(ReasonHandshake, fmt.Sprintf("is not a plugin: the line where the handshake is due is longer than %d KiB", maxHandshake>>10))
		_ = c.lineW.Close()
		c.kill()
	case refused != nil:
		c.refuse(refused.Reason, refused.Detail)
		_ = c.lineW.Close()
		c.kill()
	default:
		c.mu.Lock()
		c.address = strings.Split(checked, "|")[addressField]
		c.mu.Unlock()
		c.restrict()                                 // once more: a runtime may have raised what it was given before, where root lets it
		_, _ = io.WriteString(c.lineW, checked+"\n") // fails if go-plugin gave up
	}
	w := c.out.from(Stdout)
	_, _ = io.Copy(w, b) // ends with the pipe
	w.flush()
}

// reap waits for the end of the process, takes what is left of its group with it, and frees everything.
func (c *child) reap(pipes *sync.WaitGroup, files ...*os.File) {
	pid := c.cmd.Process.Pid
	if waitable(pid) { // then Wait does not block, and until then the id is not given to a stranger
		c.mu.Lock()
		killGroup(pid)
		c.group.kill()
		c.exit, c.reaped = c.cmd.Wait(), true
		c.mu.Unlock()
	} else {
		err := c.cmd.Wait()
		c.mu.Lock()
		c.exit, c.reaped = err, true
		c.mu.Unlock()
	}
	buried(pid)
	if c.group.exhausted() {
		c.refuse(ReasonLimit, "used more memory than its limit and was killed")
	}
	close(c.exited)

	late := time.AfterFunc(pipeGrace, func() {
		for _, f := range files {
			_ = f.Close() // wakes the readers
		}
	})
	_ = c.lineR.CloseWithError(io.EOF)
	killMarked(c.dir) // what left the process group
	if c.user != nil && c.user.Own {
		if err := evict(c.user.UID); err != nil {
			c.out.log.Error("something of the plugin has not ended", "error", err)
		}
	}
	killOrphans()
	pipes.Wait()
	late.Stop()
	for _, f := range files {
		_ = f.Close() // closed twice after a late end
	}
	_ = c.lineW.Close()
	c.out.close(pipeGrace)
	close(c.done)
}

// limits is what the process is held to. A user of its own has no other processes that would count.
func (c *child) limits() Limits {
	l := c.image.program.Limits
	if c.user != nil && c.user.Own {
		l.Processes = cmp.Or(l.Processes, DefaultProcesses)
	}
	return l
}

// restrict sets the process's limits. What cannot be limited does not run; one of another user limits itself before it is
// a plugin's, and cannot raise what it has set.
func (c *child) restrict() {
	if c.user != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return
	}
	if err := restrict(c.cmd.Process.Pid, c.image.program.Limits, c.group); err != nil {
		c.refused = cmp.Or(c.refused, &Refusal{Reason: ReasonLimit, Detail: fmt.Sprintf("cannot be limited: %v", err), Err: err})
		killGroup(c.cmd.Process.Pid)
	}
}

// kill ends the process and its whole group at once. It may be called at any time and more than once.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if c.cmd != nil && !c.reaped {
		c.group.kill()
		killDescendants(c.cmd.Process.Pid) // while they are: those that left the process group, too
		killGroup(c.cmd.Process.Pid)
	}
}

// refuse keeps the first reason for which the process is not taken.
func (c *child) refuse(r Reason, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = &Refusal{Reason: r, Detail: detail}
	}
}

// why says why a start failed with err. The process has ended.
func (c *child) why(err error) *Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.refused != nil:
		return &Refusal{Reason: c.refused.Reason, Detail: c.refused.Detail, Err: err}
	case c.cmd != nil:
		return &Refusal{Reason: ReasonHandshake, Err: err, Detail: fmt.Sprintf("is not a plugin: it ended (%s) without a handshake%s%s", c.cmd.ProcessState, c.said(), c.held())}
	}
	return &Refusal{Reason: ReasonHandshake, Err: err, Detail: Safe(err.Error(), maxTail)}
}

func (c *child) said() string {
	if s := c.out.lastWords(); s != "" {
		return fmt.Sprintf("; it printed %q", s)
	}
	return ""
}

// held names the limits of a program that has its own: they may be why.
func (c *child) held() string {
	if l := c.image.program.Limits.String(); l != "" {
		return "; its limits: " + l
	}
	return ""
}

func (c *child) pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// Diagnose has nothing to add.
func (c *child) Diagnose(context.Context) string { return "" }

// Stdout gives the handshake line, once it is checked.
func (c *child) Stdout() io.ReadCloser { return c.lineR }

// Stderr gives nothing: the child writes the log itself.
func (c *child) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name gives the path of the binary.
func (c *child) Name() string { return c.image.program.Path }

// ID gives the process id, and nothing before the start: go-plugin kills only what has an id.
func (c *child) ID() string {
	if pid := c.pid(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// Wait returns when the process has ended.
func (c *child) Wait(context.Context) error {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exit
}

// Kill ends the process and its group.
func (c *child) Kill(context.Context) error {
	c.kill()
	return nil
}

// PluginToHost gives the address as it is: both sides share a machine.
func (c *child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin gives the address as it is.
func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// await waits for the end of a process that was told to end.
func (c *child) await(most time.Duration) {
	if c.pid() == 0 {
		return
	}
	select {
	case <-c.done:
	case <-time.After(most):
	}
}

// ended says why the process ended; a *Refusal is in the chain if the host ended it.
func (c *child) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused != nil {
		return fmt.Errorf("the process %w", c.refused)
	}
	return fmt.Errorf("the process ended: %s%s%s", c.cmd.ProcessState, c.said(), c.held())
}
