// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"fairlead.dev/services/internal/wire"
)

const (
	mimeJSON = "application/json"
	mimeYAML = "application/yaml"
)

// rest sends requests to the front door.
type rest struct {
	url  string
	yaml bool
	// transport is a new one for each request by default.
	transport http.RoundTripper
}

// request makes the HTTP request of a call.
func (t rest) request(ctx context.Context, c call) (*http.Request, error) {
	method, target, body, contentType := c.verb.method, c.path(), c.body, mimeJSON
	switch {
	case c.step.Do == doHTTP || c.step.Do == doRPC:
		method, target = c.step.Method, c.step.Path
	case c.verb.stream:
		c.options["watch"] = true
	case method == http.MethodDelete:
		// As clients do, with the options of a deletion in the body and those that choose in the query.
		body = map[string]any{"apiVersion": "v1", "kind": "DeleteOptions"}
		if o, ok := body.(map[string]any); ok {
			for _, name := range []string{"preconditions", "propagationPolicy", "dryRun", "gracePeriodSeconds"} {
				if v, there := c.options[name]; there {
					o[name] = v
					delete(c.options, name)
				}
			}
		}
	}
	if target, query := target, query(c.options); query != "" {
		separator := "?"
		if strings.Contains(target, "?") {
			separator = "&"
		}
		c.query = separator + query
	}
	text, err := t.encode(c, body)
	if err != nil {
		return nil, err
	}
	if t.yaml {
		contentType = mimeYAML
	}
	if c.contentType != "" {
		contentType = c.contentType
	}
	req, err := http.NewRequestWithContext(ctx, method, t.url+target+c.query, strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	if text != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if t.yaml && !c.verb.stream {
		req.Header.Set("Accept", mimeYAML)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range c.step.Headers {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	return req, nil
}

// encode writes a body as JSON, or as YAML where YAML is taken.
func (t rest) encode(c call, body any) (string, error) {
	if c.text != "" || body == nil {
		return c.text, nil
	}
	data, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("cases: %w", err)
	}
	if t.yaml && (c.contentType == "" || c.contentType == wire.ContentTypeApply) {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return "", fmt.Errorf("cases: %w", err)
		}
	}
	return string(data), nil
}

func query(options map[string]any) string {
	q := url.Values{}
	for name, v := range options {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				q.Add(name, fmt.Sprint(item))
			}
		case map[string]any:
			for k, item := range v {
				q.Set(name+"."+k, fmt.Sprint(item))
			}
		default:
			q.Set(name, fmt.Sprint(v))
		}
	}
	return q.Encode()
}

func (t rest) send(ctx context.Context, c call) (answer, error) {
	req, err := t.request(ctx, c)
	if err != nil {
		return answer{}, err
	}
	return t.exchange(req, c)
}

func (t rest) exchange(req *http.Request, c call) (answer, error) {
	client := &http.Client{
		Transport:     t.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if t.transport == nil {
		defer client.CloseIdleConnections()
	}
	res, err := client.Do(req) //nolint:gosec // a server of the test
	if err != nil {
		return answer{}, fmt.Errorf("cases: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	a := answer{http: res.StatusCode, header: res.Header, warnings: warnings(res.Header)}
	if c.verb.stream && res.StatusCode == http.StatusOK {
		return a, a.readEvents(res.Body, c)
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return a, fmt.Errorf("cases: %w", err)
	}
	a.text = string(data)
	return a, a.read(data, res)
}

// read reads a body that is JSON or YAML.
func (a *answer) read(data []byte, res *http.Response) error {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch media {
	case mimeYAML:
		converted, err := yaml.YAMLToJSON(data)
		if err != nil {
			return fmt.Errorf("cases: the answer is no YAML: %w", err)
		}
		data = converted
	case mimeJSON:
	default:
		return nil
	}
	var err error
	if a.object, err = parse(data); err != nil || res.StatusCode < http.StatusBadRequest {
		return err
	}
	return a.readStatus(data)
}

// readStatus reads a Status, and looks that it is one of the code it came with.
func (a *answer) readStatus(data []byte) error {
	a.status = &kmetav1.Status{}
	if err := json.Unmarshal(data, a.status); err != nil {
		return fmt.Errorf("cases: the Status of an error: %w", err)
	}
	if s := a.status; s.Kind != "Status" || s.APIVersion != "v1" || s.Status != kmetav1.StatusFailure || int(s.Code) != a.http {
		return fmt.Errorf("cases: the body of an error with code %d is no Status of it: %s", a.http, abridge(string(data)))
	}
	return nil
}

// readEvents reads the events of a watch: as many as are expected, and its end if that is.
func (a *answer) readEvents(body io.Reader, c call) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 8<<20)
	for c.step.Expect.Ends || len(a.events) < len(c.step.Expect.Events) {
		if !lines.Scan() {
			a.ended = lines.Err() == nil
			return nil
		}
		event, err := parse(lines.Bytes())
		if err != nil {
			return err
		}
		a.events = append(a.events, event)
	}
	return nil
}

// warnings reads the texts of Warning headers.
func warnings(h http.Header) []string {
	var out []string
	for _, v := range h.Values("Warning") {
		quoted, ok := strings.CutPrefix(v, "299 - ")
		text, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			text = errors.Join(errors.New("no warning: "+v), err).Error()
		}
		out = append(out, text)
	}
	return out
}
