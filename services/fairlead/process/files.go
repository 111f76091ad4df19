// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long after a change files are read: others write them in parts. It counts from the first change, so that
// a folder in which something changes all the time hides none.
const settle = 100 * time.Millisecond

// FollowFiles calls take at once, for what changed since the files were read, and after each change of a file, until ctx
// ends. It is called too often, never too seldom: what it finds in a file that is still being written, it finds again.
func FollowFiles(ctx context.Context, log *slog.Logger, take func(), files ...string) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("follow files: %w", err)
	}
	defer watcher.Close()
	for _, file := range files { // their folders: files are replaced, not written over
		if err := watcher.Add(filepath.Dir(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("follow %s: %w", file, err)
		}
	}
	take()
	timer := time.NewTimer(settle)
	timer.Stop()
	defer timer.Stop()
	waiting := false
	soon := func() {
		if !waiting {
			waiting = true
			timer.Reset(settle)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watcher.Events:
			soon()
		case err := <-watcher.Errors:
			log.WarnContext(ctx, "following files", "files", files, "error", err)
			soon()
		case <-timer.C:
			waiting = false
			take()
		}
	}
}
