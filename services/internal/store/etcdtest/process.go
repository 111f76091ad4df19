// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	// memberVariable, when set, makes the test binary run a member of etcd.
	memberVariable = "FAIRLEAD_TEST_ETCD_MEMBER"
	// readyLine is what a member prints when it serves.
	readyLine = "ready\n"
	// startPatience is how long a member has to serve.
	startPatience = 60 * time.Second
)

// Process is an etcd in a process of its own, which can be killed and paused. Its methods may be called by any goroutine, one at
// a time; what fails in them fails the test.
type Process struct {
	t      testing.TB
	member member

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.Closer
}

// StartProcess runs an etcd in a process of its own until the test ends. The package's TestMain must call Main.
func StartProcess(t testing.TB) *Process {
	t.Helper()
	p := newProcess(t, member{Name: "alone"})
	p.Restart()
	if t.Failed() {
		t.FailNow()
	}
	return p
}

// newProcess makes a process that is not started.
func newProcess(t testing.TB, m member) *Process {
	t.Helper()
	// Not t.TempDir: the path of a socket has to be short.
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	m.Dir = dir
	p := &Process{t: t, member: m}
	t.Cleanup(func() {
		p.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove etcd's data: %v", err)
		}
	})
	return p
}

// Endpoint is where clients reach it, whether it runs or not.
func (p *Process) Endpoint() string { return "unix://" + p.socket() }

// Endpoints is Endpoint, alone.
func (p *Process) Endpoints() []string { return []string{p.Endpoint()} }

func (p *Process) socket() string { return filepath.Join(p.member.Dir, "etcd.sock") }

// Dir is its data directory.
func (p *Process) Dir() string { return p.member.Dir }

// Client makes a client that is closed when the test ends.
func (p *Process) Client() *clientv3.Client { return client(p.t, p.Endpoint()) }

// Kill ends the process at once, paused or not. It does nothing to one that has ended.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("kill etcd: %v", err)
	}
	_ = p.cmd.Wait() // it was killed
	_ = p.stdin.Close()
	p.cmd = nil
}

// Pause stops the process without its knowing. Resume lets it go on.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("send %v to etcd: %v", s, err)
	}
}

// Restart starts the process on its data, after a kill if it runs, and returns when it serves.
func (p *Process) Restart() {
	p.Kill()
	wait, err := p.start()
	if err == nil {
		err = wait()
	}
	if err != nil {
		p.t.Errorf("start etcd: %v", err)
	}
}

// start starts the process. The function that it returns waits until it serves.
func (p *Process) start() (wait func() error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the test binary: %w", err)
	}
	how, err := json.Marshal(p.member)
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	// A socket that a killed process has left is not listened on again.
	if err := os.Remove(p.socket()); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	cmd := exec.CommandContext(context.Background(), self, "-test.run=^$") // ended by Kill
	cmd.Env = append(os.Environ(), memberVariable+"="+string(how))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run the test binary: %w", err)
	}
	p.cmd, p.stdin = cmd, stdin
	return func() error {
		limit := time.AfterFunc(startPatience, func() { _ = cmd.Process.Kill() })
		defer limit.Stop()
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if line != readyLine {
			return fmt.Errorf("it says %q (%w) and not that it is ready; does TestMain call etcdtest.Main?", line, err)
		}
		return nil
	}, nil
}

// client connects to endpoints without a word in the log.
func client(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(), MaxCallSendMsgSize: 10 << 20,
		DialKeepAliveTime: time.Second, DialKeepAliveTimeout: time.Second, PermitWithoutStream: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close() // what runs on it is cancelled, as meant
	})
	return c
}
