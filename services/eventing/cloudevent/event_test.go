// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cloudevent_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/eventing/cloudevent"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// attributes returns what an event says in binary mode.
func attributes(e *cloudevent.Event) map[string]string {
	h := http.Header{}
	e.WriteHeader(h)
	out := map[string]string{}
	for k := range h {
		out[k] = h.Get(k)
	}
	return out
}

func TestRead(t *testing.T) {
	required := map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/a", "Ce-Type": "t"}
	with := func(pairs ...string) map[string]string {
		m := map[string]string{}
		maps.Copy(m, required)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	structured := header("Content-Type", "application/cloudevents+json; charset=utf-8")
	cases := map[string]struct {
		reason string
		header http.Header
		body   string
		want   []map[string]string
		data   []string
	}{
		"binary": {
			reason: "attributes are headers, the body is data as it comes",
			header: header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/a", "ce-type", "t", "ce-myext", "x%20y", "Content-Type", "text/plain", "X-Other", "z"),
			body:   "hello",
			want:   []map[string]string{with("Content-Type", "text/plain", "Ce-Myext", "x%20y")},
			data:   []string{"hello"},
		},
		"structured JSON": {
			reason: "JSON data stays as it was written, typed extensions become strings, values are percent-encoded",
			header: structured,
			body:   `{"specversion":"1.0","id":"1","source":"/a","type":"t","subject":"a b\u00e9","time":"2026-01-02T03:04:05.000Z","n":5,"b":true,"none":null,"data":{"x":1.10}}`,
			want:   []map[string]string{with("Content-Type", "application/json", "Ce-Subject", "a%20b%C3%A9", "Ce-N", "5", "Ce-B", "true", "Ce-Time", "2026-01-02T03:04:05.000Z")},
			data:   []string{`{"x":1.10}`},
		},
		"structured text": {
			reason: "data that is no JSON is the string's content",
			header: structured,
			body:   `{"data":"a\nb","specversion":"1.0","id":"1","source":"/a","type":"t","datacontenttype":"text/plain"}`,
			want:   []map[string]string{with("Content-Type", "text/plain")},
			data:   []string{"a\nb"},
		},
		"structured bytes": {
			reason: "data_base64 is decoded",
			header: structured,
			body:   `{"data_base64":"AAEC","specversion":"1.0","id":"1","source":"/a","type":"t"}`,
			want:   []map[string]string{required},
			data:   []string{"\x00\x01\x02"},
		},
		"batch": {
			reason: "each item is an event",
			header: header("Content-Type", "application/cloudevents-batch+json"),
			body:   `[{"specversion":"1.0","id":"1","source":"/a","type":"t"},{"specversion":"1.0","id":"1","source":"/a","type":"t","data":1}]`,
			want:   []map[string]string{required, with("Content-Type", "application/json")},
			data:   []string{"", "1"},
		},
		"empty batch": {
			reason: "a batch may have no events",
			header: header("Content-Type", "application/cloudevents-batch+json"),
			body:   `[]`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			events, err := cloudevent.Read(tc.header, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			var got []map[string]string
			var data []string
			for _, e := range events {
				e = cloudevent.Decode(e.Encode(), e.Data) // what is stored says the same
				got = append(got, attributes(e))
				data = append(data, string(e.Data))
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("%s: attributes (-want +got):\n%s", tc.reason, d)
			}
			if d := cmp.Diff(tc.data, data); d != "" {
				t.Errorf("%s: data (-want +got):\n%s", tc.reason, d)
			}
		})
	}
}

func TestReadNamesEveryFault(t *testing.T) {
	structured := header("Content-Type", "application/cloudevents+json")
	cases := map[string]struct {
		header http.Header
		body   string
		want   []string
		is     error
	}{
		"no event":       {header: header("Content-Type", "application/json"), body: "{}", is: cloudevent.ErrNoEvent},
		"unknown format": {header: header("Content-Type", "application/cloudevents+avro"), is: cloudevent.ErrFormat},
		"binary without anything": {
			header: header("ce-specversion", "1.0"), want: []string{"id: ", "source: ", "type: "},
		},
		"binary": {
			header: header("ce-specversion", "0.3", "ce-id", "1", "ce-id", "2", "ce-source", ":", "ce-type", "t", "ce-time", "noon", "ce-my_ext", "1", "ce-subject", "", "ce-dataschema", "%zz"),
			want:   []string{"specversion: ", "id: is there 2 times", "source: ", "time: ", "my_ext: ", "subject: "},
		},
		"structured": {
			header: structured,
			body:   `{"specversion":"1.0","id":5,"source":"/a","type":"t","data":1,"data_base64":"x","Upper":"x","deep":{"a":1},"real":1.5}`,
			want:   []string{"id: ", "data: ", "Upper: ", "deep: ", "real: "},
		},
		"structured, not an object": {header: structured, body: `[1]`, want: []string{"JSON object"}},
		"structured, not base64":    {header: structured, body: `{"specversion":"1.0","id":"1","source":"/a","type":"t","data_base64":5}`, want: []string{"data_base64: "}},
		"text that is no string":    {header: structured, body: `{"specversion":"1.0","id":"1","source":"/a","type":"t","datacontenttype":"text/plain","data":{}}`, want: []string{"data: "}},
		"batch": {
			header: header("Content-Type", "application/cloudevents-batch+json"),
			body:   `[{"specversion":"1.0","id":"1","source":"/a","type":"t"},{"specversion":"1.0","id":"1"},3]`,
			want:   []string{"event 1: source: ", "event 1: type: ", "event 2: "},
		},
		"batch, two documents": {header: header("Content-Type", "application/cloudevents-batch+json"), body: `[] []`, want: []string{"array"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			events, err := cloudevent.Read(tc.header, []byte(tc.body))
			if err == nil {
				t.Fatalf("got %v", events)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("got %v, want %v", err, tc.is)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %q", err, want)
				}
			}
		})
	}
}

func TestMatches(t *testing.T) {
	e := cloudevent.New("1", "/a b", "order.created")
	e.Set("region", "eu")
	cases := map[string]struct {
		attributes map[string]string
		want       bool
	}{
		"none":             {nil, true},
		"one":              {map[string]string{"type": "order.created"}, true},
		"extension":        {map[string]string{"type": "order.created", "region": "eu"}, true},
		"any":              {map[string]string{"region": ""}, true},
		"any, absent":      {map[string]string{"subject": ""}, false},
		"other value":      {map[string]string{"type": "order.created", "region": "us"}, false},
		"prefix":           {map[string]string{"type": "order"}, false},
		"decoded":          {map[string]string{"source": "/a b"}, true},
		"as on the wire":   {map[string]string{"source": "/a%20b"}, true},
		"spec's own":       {map[string]string{"specversion": "1.0"}, true},
		"case is kept":     {map[string]string{"region": "EU"}, false},
		"absent attribute": {map[string]string{"zone": "1"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := e.Matches(tc.attributes); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

// TestSDKReadsWhatWeWrite holds our binary mode against the CloudEvents SDK's.
func TestSDKReadsWhatWeWrite(t *testing.T) {
	sent := event.New()
	sent.SetID("1")
	sent.SetSource("https://example.com/source?x=1")
	sent.SetType("t")
	sent.SetExtension("region", "eu")
	sent.SetExtension("count", 7)
	if err := sent.SetData(event.ApplicationJSON, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{
		"binary":     binding.WithForceBinary(t.Context()),
		"structured": binding.WithForceStructured(t.Context()),
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodPost, "/", nil)
			if err := cehttp.WriteRequest(ctx, binding.ToMessage(&sent), req); err != nil {
				t.Fatal(err)
			}
			body := new(strings.Builder)
			if _, err := io.Copy(body, req.Body); err != nil {
				t.Fatal(err)
			}
			events, err := cloudevent.Read(req.Header, []byte(body.String()))
			if err != nil {
				t.Fatal(err)
			}
			out := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(events[0].Data)))
			events[0].WriteHeader(out.Header)
			got, err := cehttp.NewEventFromHTTPRequest(out)
			if err != nil {
				t.Fatal(err)
			}
			want := sent.Clone()
			want.SetExtension("count", "7") // headers hold strings
			if d := cmp.Diff(want.String(), got.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add("application/cloudevents+json", "", `{"specversion":"1.0","id":"1","source":"/a","type":"t","data":1}`)
	f.Add("application/cloudevents+json", "", `{"data_base64":5,"specversion":"1.0"}`)
	f.Add("application/cloudevents-batch+json", "", `[{"specversion":"1.0","id":"1","source":"/a","type":"t"}]`)
	f.Add("text/plain", "a%20b", "x")
	f.Fuzz(func(t *testing.T, contentType, subject, body string) {
		h := header("Content-Type", contentType)
		if subject != "" {
			h = header("Content-Type", contentType, "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/a", "ce-type", "t", "ce-subject", subject)
		}
		events, err := cloudevent.Read(h, []byte(body))
		if err != nil {
			return
		}
		for _, e := range events {
			// What was taken can be sent, and reads as the same.
			out := http.Header{}
			e.WriteHeader(out)
			for k, v := range out {
				if strings.ContainsFunc(v[0], unicode.IsControl) {
					t.Fatalf("%s: %q cannot be sent", k, v[0])
				}
			}
			again, err := cloudevent.Read(out, e.Data)
			if err != nil || len(again) != 1 {
				t.Fatalf("%v does not read what was taken: %v", out, err)
			}
			if d := cmp.Diff(attributes(e), attributes(again[0])); d != "" {
				t.Fatal(d)
			}
		}
	})
}
