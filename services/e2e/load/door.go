// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// annotation holds the value that a writer gave an object.
const annotation = "load.fairlead.dev/value"

// callTimeout is how long a writer waits for an answer.
const callTimeout = 15 * time.Second

// Door is how the front door is reached.
type Door struct {
	// URL is its address, such as `https://127.0.0.1:8443`.
	URL string
	// Client speaks to it.
	Client *http.Client
	// Token is the caller's.
	Token string
}

// resource is a kind, with the rest of a good object of it.
type resource struct{ apiVersion, kind, plural, rest string }

// meta is what is looked at of every object.
type meta struct {
	Metadata struct {
		Name            string            `json:"name"`
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		Conditions []struct{ Type, Status, Reason, Message string } `json:"conditions"`
	} `json:"status"`
}

func (m meta) value() int64 {
	n, err := strconv.ParseInt(m.Metadata.Annotations[annotation], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (d *Door) open(ctx context.Context, method, path, contentType, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.URL+path, bytes.NewBufferString(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+d.Token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := d.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return res, nil
}

// call makes one call. The code is 0 when no answer came.
func (d *Door) call(ctx context.Context, method, path, contentType, body string) (code int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := d.open(ctx, method, path, contentType, body)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return res.StatusCode, answer, nil
}

// read gets a path, and goes on trying while the server is not there or fails. The answer is 200 or a refusal, or an
// error when ctx has ended.
func (d *Door) read(ctx context.Context, path string, into any) (int, error) {
	for {
		code, body, err := d.call(ctx, http.MethodGet, path, "", "")
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("GET %s: %d %s: %w", path, code, body, ctx.Err())
		case err == nil && code == http.StatusOK:
			if err := json.Unmarshal(body, into); err != nil {
				return code, fmt.Errorf("GET %s: %w", path, err)
			}
			return code, nil
		case err == nil && code < http.StatusInternalServerError && code != http.StatusTooManyRequests:
			return code, nil
		}
		wait(ctx, 200*time.Millisecond)
	}
}

func (r resource) path(namespace string, name ...string) string {
	return strings.Join(append([]string{"/apis", r.apiVersion, "namespaces", namespace, r.plural}, name...), "/")
}
