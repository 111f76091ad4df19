// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// program is a binary of ours in a process of its own, detached from this process's group.
type program struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan error
	// killed tells that kill ended it, which is no bad end.
	killed atomic.Bool
}

// startProgram starts a binary that logs to a file.
func startProgram(name, log, binary string, args ...string) (*program, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	cmd := exec.Command(binary, args...) //nolint:noctx // it outlives the caller where that is wanted
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &program{name: name, log: log, cmd: cmd, done: make(chan error, 1)}
	go func() { p.done <- cmd.Wait() }()
	return p, nil
}

// ready waits until the program says at a URL that it is; one that does not is killed.
func (p *program) ready(ctx context.Context, url string) error {
	if err := p.waitReady(ctx, url); err != nil {
		_ = p.kill()
		return fmt.Errorf("%w\n%s", err, tail(p.log))
	}
	return nil
}

func (p *program) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := "it does not answer"
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("ready: %w", err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<12))
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			last = string(text)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the %s is not ready: %s", p.name, last)
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("the %s ended: %w", p.name, err)
		case <-tick.C:
		}
	}
}

// kill ends the program at once, as `kill -9` does, and waits for its end.
func (p *program) kill() error {
	p.killed.Store(true)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the %s: %w", p.name, err)
	}
	err := <-p.done
	p.done <- err // for those who ask again; that it was killed is no error
	return nil
}

// stop asks the program to end, and waits.
func (p *program) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the %s: %w", p.name, err)
	}
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil && !p.killed.Load() {
			return fmt.Errorf("the %s ended badly: %w\n%s", p.name, err, tail(p.log))
		}
		return nil
	case <-time.After(30 * time.Second):
		_ = p.kill()
		return fmt.Errorf("the %s did not end within 30 s of SIGTERM\n%s", p.name, tail(p.log))
	}
}
