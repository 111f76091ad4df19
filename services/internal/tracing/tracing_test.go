// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"fairlead.dev/services/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// span is what the tests read of a line of the file.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ TraceID, SpanID string }
	Links       []struct {
		SpanContext struct{ TraceID, SpanID string }
	}
	Status struct{ Code, Description string }
}

func read(t *testing.T, file string) map[string]span {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spans := map[string]span{}
	for line := range strings.Lines(string(data)) {
		var s span
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		spans[s.Name] = s
	}
	return spans
}

func open(t *testing.T, ratio float64) (*tracing.Provider, func() map[string]span) {
	t.Helper()
	c := tracing.DefaultConfig()
	c.File, c.SampleRatio = filepath.Join(t.TempDir(), "spans", "spans.jsonl"), ratio
	p, err := tracing.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p, func() map[string]span {
		t.Helper()
		if err := p.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		return read(t, c.File)
	}
}

func TestSpansFollowARequestAndLinkToWhatItCauses(t *testing.T) {
	p, spans := open(t, 1)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/apis/x", nil)
	r, end := tracing.HTTP(p, r)
	ctx, done := tracing.Start(r.Context(), "inner")
	parent := tracing.Parent(ctx)
	if parent == "" || tracing.TraceID(ctx) == "" {
		t.Fatal("a kept span has no traceparent")
	}
	err := errors.New("broken")
	done(&err)
	end("POST resource", http.StatusCreated)
	_, run := tracing.Begin(t.Context(), p, "later", tracing.Link(parent))
	tracing.End(run, nil)
	got := spans()
	outer, inner, later := got["POST resource"], got["inner"], got["later"]
	if inner.Parent.SpanID != outer.SpanContext.SpanID || inner.SpanContext.TraceID != outer.SpanContext.TraceID {
		t.Errorf("the inner span %+v is not below the outer %+v", inner, outer)
	}
	if inner.Status.Code != "Error" || inner.Status.Description != "broken" {
		t.Errorf("the inner span's status is %+v, want its error", inner.Status)
	}
	if len(later.Links) != 1 || later.Links[0].SpanContext.SpanID != inner.SpanContext.SpanID {
		t.Errorf("links of the later span are %+v, want one to %s", later.Links, inner.SpanContext.SpanID)
	}
	if later.SpanContext.TraceID == inner.SpanContext.TraceID {
		t.Error("a run has a trace of its own, and only a link")
	}
}

func TestNothingIsKeptThatWasNotSampled(t *testing.T) {
	p, spans := open(t, 0)
	ctx, s := tracing.Begin(t.Context(), p, "outer")
	inner, end := tracing.Start(ctx, "inner")
	if got := tracing.Parent(inner); got != "" {
		t.Errorf("traceparent %q of a span that is not kept", got)
	}
	end(nil)
	tracing.End(s, nil)
	if got := spans(); len(got) != 0 {
		t.Errorf("spans were kept: %v", got)
	}
}

func TestWithoutAProviderNothingHappens(t *testing.T) {
	p, err := tracing.New(t.Context(), tracing.DefaultConfig())
	if err != nil || p != nil || p.Tracing() != nil {
		t.Fatalf("got %v %v, want nothing", p, err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, end := tracing.Start(t.Context(), "x")
	end(nil)
	ctx, s := tracing.Begin(ctx, nil, "y")
	tracing.End(s, nil)
	if trace.SpanContextFromContext(ctx).IsValid() {
		t.Error("a span came from nowhere")
	}
	if tracing.DialOptions(nil) != nil || tracing.ServerOptions(nil) != nil {
		t.Error("connections are watched for nobody")
	}
}

func TestLinkOfWhatIsNoTraceparent(t *testing.T) {
	for _, text := range []string{"", "x", "00-0-0-01", strings.Repeat("f", 1<<10), "00-00000000000000000000000000000000-0000000000000000-01"} {
		if links := trace.NewSpanStartConfig(tracing.Link(text)); len(links.Links()) != 0 {
			t.Errorf("%q links to %v", text, links.Links())
		}
	}
}

func TestValidate(t *testing.T) {
	cases := []struct {
		reason string
		change func(*tracing.Config)
		want   string
	}{
		{"defaults are good", func(*tracing.Config) {}, ""},
		{"more than all", func(c *tracing.Config) { c.SampleRatio = 1.5 }, "sampleRatio"},
		{"no port", func(c *tracing.Config) { c.Endpoint = "collector" }, "endpoint"},
		{"a CA for nothing", func(c *tracing.Config) { c.CAFile = "x" }, "caFile"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			cfg := tracing.DefaultConfig()
			c.change(&cfg)
			err := cfg.Validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestLogLinesCarryTraceAndRequest(t *testing.T) {
	p, _ := open(t, 1)
	defer func() { _ = p.Shutdown(context.Background()) }()
	ctx, s := tracing.Begin(t.Context(), p, "x")
	defer s.End()
	var out bytes.Buffer
	log := slog.New(tracing.LogHandler(slog.NewJSONHandler(&out, nil), func(context.Context) string { return "r1" })).With("a", "b")
	log.InfoContext(ctx, "hello")
	log.InfoContext(ctx, "hello", "request_id", "mine")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"r1", "mine"} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		if line["request_id"] != want || line["trace_id"] != tracing.TraceID(ctx) {
			t.Errorf("line %s, want request %s of trace %s", lines[i], want, tracing.TraceID(ctx))
		}
		if strings.Count(lines[i], "request_id") != 1 {
			t.Errorf("line %s says its request twice", lines[i])
		}
	}
}
