// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	t.Parallel()

	tail := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	cases := map[string]struct {
		reason string
		line   string
		want   stat
		fails  bool
	}{
		"Plain":    {"the usual line", "42 (etcd)" + tail, stat{'S', 4711}, false},
		"Brackets": {"a program may be named anything", "42 (a b) R) (c)" + tail, stat{'S', 4711}, false},
		"Zombie":   {"the state is the first field after the name", "42 (x)" + strings.Replace(tail, "S", "Z", 1), stat{'Z', 4711}, false},
		"Short":    {"a cut line is no process", "42 (x) S 1 2", stat{}, true},
		"Empty":    {"an empty file is no process", "", stat{}, true},
		"NotANum":  {"the start time is a number", strings.Replace("42 (x)"+tail, "4711", "x", 1), stat{}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat(tc.line)
			if (err != nil) != tc.fails {
				t.Fatalf("error = %v, want one: %v: %s", err, tc.fails, tc.reason)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(stat{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRecordAlive(t *testing.T) {
	t.Parallel()
	self, err := newRecord(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		record Record
		want   bool
	}{
		"Self":        {"this process runs", self, true},
		"OtherStart":  {"the id was given to another process", Record{self.PID, self.StartTime + 1, self.BootID}, false},
		"OtherBoot":   {"the record is from before a reboot", Record{self.PID, self.StartTime, "other"}, false},
		"NoRecord":    {"the zero record is no process", Record{}, false},
		"NoSuchThing": {"an id beyond pid_max", Record{1 << 30, 1, self.BootID}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.record.Alive(); got != tc.want {
				t.Errorf("Alive() = %v, want %v: %s", got, tc.want, tc.reason)
			}
		})
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	got, err := ageOf(Record{StartTime: 9050}, "100.75 180.10\n")
	if want := 10*time.Second + 250*time.Millisecond; err != nil || got != want {
		t.Errorf("ageOf = %s, %v, want %s", got, err, want)
	}
	if _, err := ageOf(Record{}, "cut"); err == nil {
		t.Error("no error for a broken /proc/uptime")
	}
	self, err := newRecord(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	started, err := self.Started()
	if age := time.Since(started); err != nil || age < 0 || age > time.Hour {
		t.Errorf("this test started %s ago, %v", age, err)
	}
}

func TestStoreReadsWhatItWrote(t *testing.T) {
	t.Parallel()
	store := NewStore(filepath.Join(t.TempDir(), "pids"))
	want := Record{PID: 1, StartTime: 2, BootID: "b"}
	if err := store.Put("etcd", want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, store.Get("etcd")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.WriteFile(store.path("etcd"), []byte("{cut"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := store.Get("etcd"); got.Alive() {
		t.Errorf("a broken record is alive: %+v", got)
	}
	for range 2 {
		if err := store.Delete("etcd"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("no sleep program")
	}
	dir := t.TempDir()
	store := NewStore(filepath.Join(dir, "pids"))
	var placed int
	running, err := store.Start(Spec{
		Name: "sleeper", Path: sleep, Args: []string{"sleeper", "600"}, LogFile: filepath.Join(dir, "logs", "s.log"),
	}, func(pid int) error { placed = pid; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if placed != running.Record.PID || !store.Get("sleeper").Alive() {
		t.Fatalf("placed %d, record %+v", placed, store.Get("sleeper"))
	}
	if err := store.Stop(t.Context(), "sleeper", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	<-running.Exited
	if running.Record.Alive() || store.Get("sleeper") != (Record{}) {
		t.Error("the process or its record is still there")
	}
	if err := store.Stop(t.Context(), "sleeper", time.Second); err != nil {
		t.Errorf("stopping what is gone: %v", err)
	}
}
