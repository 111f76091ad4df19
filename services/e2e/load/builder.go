// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// builder runs one build after another.
type builder struct {
	load   *Load
	prefix string
	// made are the builds that were acknowledged.
	made []string
}

func builds() resource { return resource{"build.knative.dev/v1alpha1", "Build", "builds", ""} }

func (b *builder) run(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("%s-%d", b.prefix, i)
		body := fmt.Sprintf(`{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build","metadata":{"name":%q},"spec":{"steps":[{"image":%q,"args":["exit","0"]}]}}`,
			name, b.load.cfg.Image)
		code, answer, err := b.load.cfg.Door.call(context.WithoutCancel(ctx), http.MethodPost, builds().path(b.load.cfg.Namespace), "application/json", body)
		switch {
		case err == nil && code == http.StatusCreated:
			b.made = append(b.made, name)
			b.finished(ctx, name)
		case err != nil || code >= http.StatusInternalServerError:
			wait(ctx, 500*time.Millisecond)
		default:
			b.load.faultf("create build %s: %d %s", name, code, answer)
			return
		}
	}
}

// finished waits until a build has ended, and tells whether it has.
func (b *builder) finished(ctx context.Context, name string) bool {
	for {
		var m meta
		code, err := b.load.cfg.Door.read(ctx, builds().path(b.load.cfg.Namespace, name), &m)
		if ctx.Err() != nil {
			return false
		}
		if err != nil || code != http.StatusOK {
			b.load.faultf("build %s was acknowledged, and reads %d %v", name, code, err)
			return false
		}
		for _, c := range m.Status.Conditions {
			switch {
			case c.Type != "Succeeded":
			case c.Status == "True":
				return true
			case c.Status == "False":
				b.load.faultf("build %s failed: %s: %s", name, c.Reason, c.Message)
				return true
			}
		}
		wait(ctx, 300*time.Millisecond)
	}
}

// settle waits until all builds have ended, and returns how many did.
func (b *builder) settle(ctx context.Context) int {
	n := 0
	for _, name := range b.made {
		if !b.finished(ctx, name) {
			b.load.faultf("build %s is stuck", name)
			continue
		}
		n++
	}
	return n
}
