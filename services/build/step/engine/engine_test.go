// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"fairlead.dev/services/build/step/contract"
	"fairlead.dev/services/build/step/engine"
)

// TestMain lets the test's own binary be a step, so that steps are processes as they are in pods.
func TestMain(m *testing.M) {
	config := os.Getenv("TEST_STEP")
	if config == "" {
		os.Exit(m.Run())
	}
	var cfg engine.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		panic(err)
	}
	_ = os.Unsetenv("TEST_STEP")
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	cfg.Signals = signals
	os.Exit(engine.Run(cfg))
}

type step struct {
	t       *testing.T
	cmd     *exec.Cmd
	out     *bufio.Reader
	message string
}

func start(t *testing.T, dir string, index int, platforms map[string][]string, command ...string) *step {
	t.Helper()
	s := &step{t: t, message: filepath.Join(t.TempDir(), "message")}
	config, err := json.Marshal(map[string]any{
		"Dir": dir, "Index": index, "Command": command, "PlatformCommands": platforms, "TerminationLog": s.message,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), "TEST_STEP="+string(config))
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout = w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	s.out = bufio.NewReader(out)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = out.Close()
	})
	return s
}

func (s *step) line() string {
	s.t.Helper()
	l, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("read the step's output: %v", err)
	}
	return strings.TrimSpace(l)
}

func (s *step) wait(want int) contract.Message {
	s.t.Helper()
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		s.t.Fatalf("exit code %d, want %d", got, want)
	}
	data, err := os.ReadFile(s.message)
	if errors.Is(err, os.ErrNotExist) {
		return contract.Message{}
	}
	m, ok := contract.ParseMessage(string(data))
	if !ok {
		s.t.Fatalf("termination message %q cannot be read", data)
	}
	return m
}

func TestStepsRunInOrder(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	var steps []*step
	for i := 4; i >= 0; i-- {
		steps = append(steps, start(t, dir, i, nil, "sh", "-c", "echo "+strconv.Itoa(i)+" >> "+out))
	}
	for _, s := range steps {
		if m := s.wait(0); m != (contract.Message{}) {
			t.Errorf("message %v, want none", m)
		}
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(data), "0\n1\n2\n3\n4\n"; got != want {
		t.Errorf("steps wrote %q, want %q", got, want)
	}
}

func TestFailureSkipsTheRest(t *testing.T) {
	dir := t.TempDir()
	one, two, three := start(t, dir, 0, nil, "true"), start(t, dir, 1, nil, "sh", "-c", "exit 42"), start(t, dir, 2, nil, "true")
	one.wait(0)
	two.wait(42)
	if m := three.wait(contract.ExitSkipped); m.Reason != contract.ReasonSkipped {
		t.Errorf("reason %q, want %q", m.Reason, contract.ReasonSkipped)
	}
}

func TestKilledStepSkipsTheRest(t *testing.T) {
	dir := t.TempDir()
	next := start(t, dir, 1, nil, "true")
	first := start(t, dir, 0, nil, "sh", "-c", "echo up; read line")
	first.line()
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	next.wait(contract.ExitSkipped)
}

func TestSignals(t *testing.T) {
	t.Run("reach the command", func(t *testing.T) {
		s := start(t, t.TempDir(), 0, nil, "sh", "-c", "trap 'exit 3' TERM; trap 'echo usr1' USR1; echo up; while :; do read line < /dev/zero & wait; done")
		s.line()
		_ = s.cmd.Process.Signal(syscall.SIGUSR1)
		if got := s.line(); got != "usr1" {
			t.Fatalf("printed %q, want usr1", got)
		}
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		s.wait(3)
	})
	t.Run("reach what the command has started", func(t *testing.T) {
		s := start(t, t.TempDir(), 0, nil, "sh", "-c", "sh -c 'echo up; exec tail -f /dev/null'; :")
		s.line()
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		s.wait(128 + int(syscall.SIGTERM))
	})
	t.Run("end a step that waits", func(t *testing.T) {
		dir := t.TempDir()
		first := start(t, dir, 0, nil, "sh", "-c", "echo up; read line")
		first.line()
		s := start(t, dir, 1, nil, "true")
		// Sent until it ends, for the process may not listen yet; a signal before that ends it too.
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		err := s.cmd.Wait()
		if err == nil {
			t.Fatal("the step ended well")
		}
	})
}

func TestCommandsThatDoNotStart(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo hello\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reason   string
		command  []string
		platform map[string][]string
		code     int
		want     contract.Message
	}{
		{
			reason: "a name that PATH does not lead to", command: []string{"no-such-command"}, code: contract.ExitNotFound,
			want: contract.Message{Reason: contract.ReasonCommandNotFound, Message: `command "no-such-command" is in no folder of the image's PATH (` + os.Getenv("PATH") + `)`},
		},
		{
			reason: "a path that is not there", command: []string{"/no/such"}, code: contract.ExitNotFound,
			want: contract.Message{Reason: contract.ReasonCommandNotFound, Message: `command "/no/such" is not in the image, or not executable`},
		},
		{
			reason: "no command at all", code: contract.ExitNotFound,
			want: contract.Message{Reason: contract.ReasonCommandNotFound, Message: "there is no command: give the step a `command`, or its image an ENTRYPOINT"},
		},
		{
			reason: "a file the kernel cannot run", command: []string{script}, code: contract.ExitCannotStart,
			want: contract.Message{Reason: contract.ReasonCannotStart, Message: `command "` + script + "\" does not start: exec format error: it is made for another platform, or a script without `#!`"},
		},
		{
			reason: "an image for other platforms", platform: map[string][]string{"plan9/mips": {"/bin/rc"}}, code: contract.ExitNotFound,
			want: contract.Message{Reason: contract.ReasonCommandNotFound, Message: "the image is not made for linux/amd64"},
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, dir, 0, c.platform, c.command...)
			next := start(t, dir, 1, nil, "true")
			if got := s.wait(c.code); got != c.want {
				t.Errorf("message\n %+v, want\n %+v", got, c.want)
			}
			next.wait(contract.ExitSkipped)
		})
	}
}

func TestPlatformCommand(t *testing.T) {
	s := start(t, t.TempDir(), 0, map[string][]string{"linux/amd64": {"echo", "a"}, "linux/arm64": {"echo", "a"}}, "b")
	if got := s.line(); got != "a b" {
		t.Errorf("printed %q, want %q", got, "a b")
	}
	s.wait(0)
}

func TestOrphansDoNotHoldTheStepUp(t *testing.T) {
	s := start(t, t.TempDir(), 0, nil, "sh", "-c", "(tail -f /dev/null >/dev/null & echo $!)")
	pid, err := strconv.Atoi(s.line())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	s.wait(0)
	if rest, err := io.ReadAll(s.out); err != nil || len(rest) > 0 {
		t.Errorf("further output %q, %v", rest, err)
	}
}
