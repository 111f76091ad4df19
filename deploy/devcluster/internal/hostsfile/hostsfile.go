// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostsfile keeps one marked line in /etc/hosts.
package hostsfile

import (
	"fmt"
	"os"
	"strings"
)

// Path is the file that resolvers read.
const Path = "/etc/hosts"

// With returns content with exactly one line of the marker: address and host.
func With(content, marker, address, host string) string {
	out := Without(content, marker)
	if out != "" && !strings.HasSuffix(out, "\n") {
		out += "\n"
	}
	return out + fmt.Sprintf("%s %s # %s\n", address, host, marker)
}

// Without returns content less the lines of the marker.
func Without(content, marker string) string {
	var out strings.Builder
	for line := range strings.Lines(content) {
		if !marked(line, marker) {
			out.WriteString(line)
		}
	}
	return out.String()
}

func marked(line, marker string) bool {
	_, comment, found := strings.Cut(line, "#")
	return found && strings.TrimSpace(comment) == marker
}

// Set puts the line into the file, Unset takes it out. Both leave a file that
// needs no change alone.
func Set(path, marker, address, host string) error {
	return edit(path, func(content string) string { return With(content, marker, address, host) })
}

// Unset takes the marker's lines out of the file.
func Unset(path, marker string) error {
	return edit(path, func(content string) string { return Without(content, marker) })
}

// edit writes in place: in a container /etc/hosts is a bind mount, over which
// nothing can be renamed. The mode is that of a file that exists.
func edit(path string, change func(string) string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := change(string(raw))
	if changed == string(raw) {
		return nil
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		return fmt.Errorf("edit %s (run as root): %w", path, err)
	}
	return nil
}
