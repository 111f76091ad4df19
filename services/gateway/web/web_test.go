// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/gateway/web"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	get    = "/fairlead.serving.v1.ServiceService/Get"
	watch  = "/fairlead.serving.v1.ServiceService/Watch"
	origin = "https://console.example.com"
)

// patience is how long anything may take.
const patience = 30 * time.Second

// services answers what the test wants, and tells when a watch has ended.
type services struct {
	servingv1.UnimplementedServiceServiceServer

	get   func(context.Context, *metav1.GetRequest) (*servingv1.Service, error)
	ended chan error
}

func (s *services) Get(ctx context.Context, r *metav1.GetRequest) (*servingv1.Service, error) {
	_ = grpc.SetHeader(ctx, metadata.Pairs(wire.WarningKey, "careful"))
	return s.get(ctx, r)
}

// Watch sends one event once the caller has had time to see that the watch stands, and then none until it ends.
func (s *services) Watch(r *metav1.WatchRequest, stream grpc.ServerStreamingServer[servingv1.ServiceServiceWatchResponse]) error {
	if r.GetLabelSelector() == "bad" {
		return apierror.ToStatus(apierror.BadRequest("no selector")).Err()
	}
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	if r.GetLabelSelector() == "one" {
		if err := stream.Send(&servingv1.ServiceServiceWatchResponse{Type: "ADDED"}); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	s.ended <- stream.Context().Err()
	return stream.Context().Err()
}

type fixture struct {
	*services

	url    string
	client *http.Client
}

// start serves the services, as a gateway does that hands on what authorization says. Connections are HTTP/2, as gRPC's own
// protocol wants it.
func start(t *testing.T, origins ...string) *fixture {
	t.Helper()
	f := &fixture{services: &services{ended: make(chan error, 10)}}
	server := grpc.NewServer()
	servingv1.RegisterServiceServiceServer(server, f.services)
	memory := rpc.NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := web.New(conn, origins)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.Handles(r) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r.WithContext(metadata.AppendToOutgoingContext(r.Context(), "authorization", r.Header.Get("Authorization"))))
	}))
	front.EnableHTTP2 = true
	front.StartTLS()
	f.url, f.client = front.URL, front.Client()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		f.client.CloseIdleConnections()
		_ = conn.Close()
		server.Stop()
		_ = memory.Close()
	})
	return f
}

// protocols are what clients may speak.
func protocols() map[string][]connect.ClientOption {
	return map[string][]connect.ClientOption{
		"connect":      {},
		"connect JSON": {connect.WithProtoJSON()},
		"gRPC-Web":     {connect.WithGRPCWeb()},
		"gRPC":         {connect.WithGRPC()},
	}
}

func TestCalls(t *testing.T) {
	f := start(t)
	for protocol, options := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			client := connect.NewClient[metav1.GetRequest, servingv1.Service](f.client, f.url+get, options...)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var left time.Duration
			var sent []string
			f.get = func(ctx context.Context, r *metav1.GetRequest) (*servingv1.Service, error) {
				at, _ := ctx.Deadline()
				left, sent = time.Until(at), metadata.ValueFromIncomingContext(ctx, "authorization")
				return &servingv1.Service{Metadata: &metav1.ObjectMeta{Name: r.GetName(), Annotations: map[string]string{"a": "b"}}}, nil
			}
			req := connect.NewRequest(&metav1.GetRequest{Namespace: "shop", Name: "web"})
			req.Header().Set("Authorization", "Bearer ada")
			res, err := client.CallUnary(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Msg.GetMetadata(); got.GetName() != "web" || got.GetAnnotations()["a"] != "b" {
				t.Errorf("got %v", res.Msg)
			}
			if left <= 0 || left > patience {
				t.Errorf("the service has %s, the caller's deadline is in %s", left, patience)
			}
			if d := cmp.Diff([]string{"Bearer ada"}, sent); d != "" {
				t.Errorf("authorization (-want +got):\n%s", d)
			}
			if got := res.Header().Get(wire.WarningKey); got != "careful" {
				t.Errorf("warnings: %q", got)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	f := start(t)
	for protocol, options := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			f.get = func(context.Context, *metav1.GetRequest) (*servingv1.Service, error) {
				return nil, apierror.ToStatus(apierror.NotFound(apierror.Resource{Group: "g", Plural: "services"}, "web")).Err()
			}
			_, err := connect.NewClient[metav1.GetRequest, servingv1.Service](f.client, f.url+get, options...).CallUnary(ctx, connect.NewRequest(&metav1.GetRequest{}))
			var e *connect.Error
			if !errors.As(err, &e) || e.Code() != connect.CodeNotFound || e.Message() != `services.g "web" not found` {
				t.Fatalf("got %v", err)
			}
			var about []string
			for _, d := range e.Details() {
				if m, err := d.Value(); err == nil {
					if r, ok := m.(*errdetails.ResourceInfo); ok {
						about = append(about, r.GetResourceName())
					}
				}
			}
			if d := cmp.Diff([]string{"web"}, about); d != "" {
				t.Errorf("ResourceInfo (-want +got):\n%s", d)
			}
			_, err = connect.NewClient[metav1.GetRequest, servingv1.Service](f.client, f.url+"/fairlead.serving.v1.ServiceService/Nope", options...).CallUnary(ctx, connect.NewRequest(&metav1.GetRequest{}))
			if connect.CodeOf(err) != connect.CodeUnimplemented {
				t.Errorf("a method that is not there: %v", err)
			}
		})
	}
}

// TestStreams has a stream's beginning be seen before its first message, and its end reach the service.
func TestStreams(t *testing.T) {
	f := start(t)
	for protocol, options := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			client := connect.NewClient[metav1.WatchRequest, servingv1.ServiceServiceWatchResponse](f.client, f.url+watch, options...)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			quiet, err := client.CallServerStream(ctx, connect.NewRequest(&metav1.WatchRequest{}))
			if err != nil {
				t.Fatal(err)
			}
			quiet.ResponseHeader() // blocks until there are headers
			stream, err := client.CallServerStream(ctx, connect.NewRequest(&metav1.WatchRequest{LabelSelector: "one"}))
			if err != nil {
				t.Fatal(err)
			}
			if !stream.Receive() || stream.Msg().GetType() != "ADDED" {
				t.Fatalf("got %v %v", stream.Msg(), stream.Err())
			}
			bad, err := client.CallServerStream(ctx, connect.NewRequest(&metav1.WatchRequest{LabelSelector: "bad"}))
			if err == nil {
				bad.Receive()
				err = bad.Err()
				_ = bad.Close()
			}
			if connect.CodeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("a watch that cannot begin: %v", err)
			}
			cancel()
			for range 2 {
				select {
				case err := <-f.ended:
					if !errors.Is(err, context.Canceled) {
						t.Errorf("a watch ended by %v", err)
					}
				case <-time.After(patience):
					t.Fatal("the service goes on with a watch whose caller is gone")
				}
			}
			_, _ = quiet.Close(), stream.Close()
		})
	}
}

// TestDeadlines has a call end in its caller's time.
func TestDeadlines(t *testing.T) {
	f := start(t)
	f.get = func(ctx context.Context, _ *metav1.GetRequest) (*servingv1.Service, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	code, _, body := f.send(t, http.MethodPost, get, "{}", "Content-Type", "application/json", "Connect-Timeout-Ms", "20")
	if code != http.StatusGatewayTimeout || !strings.Contains(body, "deadline_exceeded") {
		t.Errorf("got %d %s", code, body)
	}
}

// send makes a request by hand.
func (f *fixture) send(t *testing.T, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(data)
}

func TestBadRequests(t *testing.T) {
	f := start(t)
	f.get = func(context.Context, *metav1.GetRequest) (*servingv1.Service, error) {
		return &servingv1.Service{}, nil
	}
	for _, tc := range []struct {
		reason, method, path, mime, body string
		code                             int
		says                             string
	}{
		{"JSON", "POST", get, "application/json", `{"name":"web"}`, 200, "{}"},
		{"a field that is not there", "POST", get, "application/json", `{"nome":"web"}`, 400, "nome"},
		{"no JSON", "POST", get, "application/json", `{"name":`, 400, "invalid_argument"},
		{"no message", "POST", get, "application/proto", "\xff\xff\xff", 500, "internal"}, // as gRPC's own servers answer it
		{"another media type", "POST", get, "text/plain", `{}`, 415, ""},
		{"another method", "GET", get, "application/json", ``, 405, ""},
		{"too large", "POST", get, "application/json", `{"name":"` + strings.Repeat("x", rpc.DefaultMaxMessageBytes) + `"}`, 429, "resource_exhausted"},
		{"a method that takes a stream", "POST", "/fairlead.serving.v1.RouterService/Sync", "application/json", `{}`, 501, "unimplemented"},
	} {
		code, _, body := f.send(t, tc.method, tc.path, tc.body, "Content-Type", tc.mime)
		if code != tc.code || !strings.Contains(body, tc.says) {
			t.Errorf("%s: got %d %.300s, want %d %s", tc.reason, code, body, tc.code, tc.says)
		}
	}
}

func TestOrigins(t *testing.T) {
	ask := []string{"Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	call := []string{"Origin", origin, "Content-Type", "application/json"}
	for _, tc := range []struct {
		reason  string
		origins []string
		want    string
	}{
		{"none is let in by default", nil, ""},
		{"the one that is named", []string{"https://other.example.com", origin}, origin},
		{"another than the one that is named", []string{"https://other.example.com"}, ""},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			f := start(t, tc.origins...)
			f.get = func(context.Context, *metav1.GetRequest) (*servingv1.Service, error) {
				return &servingv1.Service{}, nil
			}
			_, header, _ := f.send(t, http.MethodOptions, get, "", ask...)
			if got := header.Get("Access-Control-Allow-Origin"); got != tc.want {
				t.Errorf("preflight: %q, want %q", got, tc.want)
			}
			if got := header.Get("Access-Control-Allow-Headers"); strings.Contains(got, "authorization") != (tc.want != "") {
				t.Errorf("preflight: headers %q", got)
			}
			if got := header.Get("Access-Control-Allow-Credentials"); got != "" {
				t.Errorf("credentials of browsers are let in: %q", got)
			}
			_, header, _ = f.send(t, http.MethodPost, get, "{}", call...)
			if got := header.Get("Access-Control-Allow-Origin"); got != tc.want {
				t.Errorf("call: %q, want %q", got, tc.want)
			}
		})
	}
	for _, bad := range []string{"", "*", "console.example.com", "https://*.example.com", "https://console.example.com/", "ftp://x", "https://a b"} {
		if web.CheckOrigin(bad) == nil {
			t.Errorf("%q passes for an origin", bad)
		}
	}
	if err := web.CheckOrigin("http://127.0.0.1:3000"); err != nil {
		t.Error(err)
	}
}
