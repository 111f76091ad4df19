// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a process that was started, with when it began, so that another one of the same id is not taken for it.
type Process struct {
	Name    string
	PID     int
	Started uint64
}

// ProcessOf describes a running process.
func ProcessOf(name string, pid int) (Process, error) {
	started, err := startTime(pid)
	return Process{Name: name, PID: pid, Started: started}, err
}

// startTime is when a process began, in the kernel's ticks since boot: field 22 of proc(5)'s stat.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	_, rest, ok := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("process %d: /proc has no start time", pid)
	}
	if fields[0] == "Z" {
		return 0, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("process %d: start time: %w", pid, err)
	}
	return started, nil
}

// Running tells whether the process is still there.
func (p Process) Running() bool {
	started, err := startTime(p.PID)
	return err == nil && started == p.Started
}

// Stop asks a process to end, waits, and ends it at once if it has not ended by then.
func (p Process) Stop(within time.Duration) error {
	deadline := time.Now().Add(within)
	signal := syscall.SIGTERM
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for sent := false; p.Running(); <-tick.C {
		if time.Now().After(deadline) {
			signal, sent, deadline = syscall.SIGKILL, false, deadline.Add(within)
		}
		if !sent {
			if err := syscall.Kill(p.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop %s (%d): %w", p.Name, p.PID, err)
			}
			sent = true
		}
	}
	return nil
}

// WriteProcesses writes a line `NAME PID` for each process, for people.
func WriteProcesses(file string, ps []Process) error {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&b, "%s %d\n", p.Name, p.PID)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("list of processes: %w", err)
	}
	return nil
}

// WriteProcess writes down a process, so that ReadProcess finds it again.
func WriteProcess(file string, p Process) error {
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s %d %d\n", p.Name, p.PID, p.Started), 0o600); err != nil {
		return fmt.Errorf("process file: %w", err)
	}
	return nil
}

// ReadProcess reads what WriteProcess wrote; found is false where there is no file.
func ReadProcess(file string) (p Process, found bool, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("process file: %w", err)
	}
	if _, err := fmt.Sscanf(string(data), "%s %d %d", &p.Name, &p.PID, &p.Started); err != nil {
		return p, false, fmt.Errorf("process file %s: %w; remove it once the process is gone", file, err)
	}
	return p, true, nil
}
