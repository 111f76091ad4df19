// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process starts detached programs and finds them again. A process is
// known by its id, its start time and the boot it belongs to, so that a stale
// record never leads to a stranger's process.
package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Record tells one process from all others, past ones too.
type Record struct {
	PID int `json:"pid"`
	// StartTime is field 22 of /proc/PID/stat, in clock ticks since boot.
	StartTime uint64 `json:"startTime"`
	BootID    string `json:"bootID"`
}

// Alive reports whether the recorded process runs still. A zombie does not.
func (r Record) Alive() bool {
	if r.PID <= 0 || r.BootID != bootID() {
		return false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.PID))
	if err != nil {
		return false
	}
	stat, err := parseStat(string(raw))
	return err == nil && stat.startTime == r.StartTime && stat.state != 'Z' && stat.state != 'X'
}

type stat struct {
	state     byte
	startTime uint64
}

// parseStat reads a line of /proc/PID/stat. The second field is the program's
// name in brackets, which may itself hold blanks and brackets.
func parseStat(line string) (stat, error) {
	const stateIndex, startTimeIndex = 0, 19
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errors.New("no program name in /proc stat")
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) <= startTimeIndex {
		return stat{}, fmt.Errorf("%d fields in /proc stat, want more than %d", len(fields), startTimeIndex)
	}
	start, err := strconv.ParseUint(fields[startTimeIndex], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("start time in /proc stat: %w", err)
	}
	return stat{state: fields[stateIndex][0], startTime: start}, nil
}

// ticksPerSecond is the unit of the start time: the kernel's USER_HZ, which is
// 100 on every architecture that Go knows.
const ticksPerSecond = 100

// Started returns the wall-clock time at which the process started.
func (r Record) Started() (time.Time, error) {
	raw, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return time.Time{}, err
	}
	age, err := ageOf(r, string(raw))
	return time.Now().Add(-age), err
}

// ageOf is the time since a process started, given the content of /proc/uptime.
func ageOf(r Record, uptime string) (time.Duration, error) {
	first, _, _ := strings.Cut(uptime, " ")
	up, err := time.ParseDuration(first + "s")
	if err != nil {
		return 0, fmt.Errorf("read /proc/uptime: %w", err)
	}
	return up - time.Duration(r.StartTime)*time.Second/ticksPerSecond, nil
}

func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

func newRecord(pid int) (Record, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Record{}, err
	}
	parsed, err := parseStat(string(raw))
	if err != nil {
		return Record{}, err
	}
	return Record{PID: pid, StartTime: parsed.startTime, BootID: bootID()}, nil
}

// Store keeps records as files, one a name.
type Store struct {
	dir string
}

// NewStore keeps records in dir, which is made on the first Put.
func NewStore(dir string) Store { return Store{dir: dir} }

func (s Store) path(name string) string { return filepath.Join(s.dir, name+".json") }

// Get returns the record of name. No record, or one that cannot be read, is
// the zero Record, which is not alive.
func (s Store) Get(name string) Record {
	raw, err := os.ReadFile(s.path(name))
	if err != nil {
		return Record{}
	}
	var record Record
	if err := json.Unmarshal(raw, &record); err != nil {
		return Record{}
	}
	return record
}

// Put stores the record of name.
func (s Store) Put(name string, record Record) error {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	raw, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path(name), append(raw, '\n'), 0o600)
}

// Delete forgets name.
func (s Store) Delete(name string) error {
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
