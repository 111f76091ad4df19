// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// envStuck holds a data folder when this binary is to be a process that does not end when it is told to.
const envStuck = "FAIRLEAD_TEST_STUCK"

// stuck is a part that ignores the end.
type stuck struct{}

func (stuck) Validate(*Faults) {}

func (stuck) Open(ctx context.Context) error {
	fmt.Println("runs")
	<-ctx.Done()
	fmt.Println("ends")
	for {
		time.Sleep(time.Hour)
	}
}

func (stuck) Start(*Tiers) {}

func runStuck(dir string) int {
	p := New(Options{Name: "stuck"})
	p.Add(stuck{})
	p.cmd.SetArgs([]string{"--data-dir", dir, "--metrics-listen", "", "--log-level", "error"})
	return p.Main()
}

// TestASecondSignalEndsTheProcess tells a process to end that hangs at its end, and then again.
func TestASecondSignalEndsTheProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envStuck+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	said := bufio.NewScanner(out)
	for _, want := range []string{"runs", "ends"} {
		if !said.Scan() || said.Text() != want {
			go func() { _ = cmd.Wait(); close(ended) }()
			t.Fatalf("the process says %q, want %q", said.Text(), want)
		}
		if want == "runs" {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	go func() { _ = cmd.Wait(); close(ended) }()
	late := time.After(30 * time.Second)
	again := time.NewTicker(50 * time.Millisecond) // the first may come before the process has let go of signals
	defer again.Stop()
	for {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
				t.Errorf("it ended with %v, want by the signal", cmd.ProcessState)
			}
			return
		case <-again.C:
		case <-late:
			t.Fatal("the process goes on whatever it is told")
		}
	}
}
