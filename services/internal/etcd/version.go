// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// The oldest version that members may have. Before it, the size of the quota is not told, and progress of watches not always.
const (
	minMajor = 3
	minMinor = 6
)

// versionTimeout is how long members have to tell their version.
const versionTimeout = 3 * time.Second

// checkVersions fails if a member that answers is too old.
func checkVersions(client *clientv3.Client, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	results := make(chan error)
	for _, endpoint := range client.Endpoints() {
		go func() {
			status, err := client.Status(ctx, endpoint)
			if err != nil {
				log.Warn("a member of etcd does not tell its version, which must be 3.6 or newer", "endpoint", endpoint, "error", err)
				results <- nil
				return
			}
			results <- checkVersion(endpoint, status.Version)
		}()
	}
	var errs []error
	for range client.Endpoints() {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

func checkVersion(endpoint, version string) error {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return fmt.Errorf("etcd at %s has version %q, which is none; want 3.6 or newer", endpoint, version)
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil || major < minMajor || major == minMajor && minor < minMinor {
		return fmt.Errorf("etcd at %s has version %s; upgrade it to %d.%d or newer", endpoint, version, minMajor, minMinor)
	}
	return nil
}
