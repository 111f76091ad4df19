// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users knows the tokens `alice` and `bob`, which are their names.
type users struct{}

func (users) Authenticate(_ context.Context, token string) (*Identity, error) {
	switch token {
	case "alice", "bob":
		return &Identity{User: token, Groups: []string{"staff"}, TokenID: "t-" + token}, nil
	case "broken":
		return nil, errors.New("the key store said: password=hunter2")
	default:
		return nil, apierror.Unauthorized("the token is not valid")
	}
}

// recorder allows alice everything and remembers what was asked.
type recorder struct {
	mu    sync.Mutex
	asked []Attributes
}

func (r *recorder) Authorize(_ context.Context, id *Identity, a Attributes) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, a)
	if id.User == "alice" {
		return nil
	}
	return apierror.Forbidden(apierror.Resource{Group: a.Group, Plural: a.Resource}, a.Name, "user %q cannot %s", id.User, a.Verb)
}

func (r *recorder) take() []Attributes {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.asked
	r.asked = nil
	return out
}

// builds is a service of a kind whose Get does what the test wants.
type builds struct {
	buildv1.UnimplementedBuildServiceServer

	get func(ctx context.Context) (*buildv1.Build, error)
}

func (b *builds) Get(ctx context.Context, _ *metav1.GetRequest) (*buildv1.Build, error) {
	return b.get(ctx)
}

type fixture struct {
	server *grpc.Server
	conn   *grpc.ClientConn
	authz  *recorder
	log    *bytes.Buffer
	builds *builds
}

func start(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{authz: &recorder{}, log: &bytes.Buffer{}, builds: &builds{}}
	cfg := Config{
		Log: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Authn: users{}, Authz: f.authz,
		Metrics: prometheus.NewRegistry(),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if f.server, err = NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	buildv1.RegisterBuildServiceServer(f.server, f.builds)
	buildv1.RegisterLogServiceServer(f.server, buildv1.UnimplementedLogServiceServer{})
	authv1.RegisterAccessServiceServer(f.server, authv1.UnimplementedAccessServiceServer{})
	authv1.RegisterTokenServiceServer(f.server, authv1.UnimplementedTokenServiceServer{})
	authv1.RegisterClusterRoleServiceServer(f.server, authv1.UnimplementedClusterRoleServiceServer{})
	eventingv1.RegisterDispatcherServiceServer(f.server, eventingv1.UnimplementedDispatcherServiceServer{})
	servingv1.RegisterRouterServiceServer(f.server, servingv1.UnimplementedRouterServiceServer{})
	grpc_testing.RegisterTestServiceServer(f.server, grpc_testing.UnimplementedTestServiceServer{})
	memory := NewInMemory(f.server)
	if f.conn, err = memory.Dial(nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.conn.Close()
		f.server.Stop()
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func as(user string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), AuthorizationKey, "Bearer "+user)
}

func TestInterceptorsStandInOrder(t *testing.T) {
	chain, err := newChain(Config{Authn: users{}, Authz: &recorder{}}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(chain))
	for _, i := range chain {
		names = append(names, i.name)
	}
	want := []string{"requestid", "log", "metrics", "recovery", "deadline", "authn", "audit", "limits", "authz", "validate"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("chain (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, Interceptors()); d != "" {
		t.Errorf("Interceptors() (-want +got):\n%s", d)
	}
}

// invoke calls any method with an empty request.
func invoke(ctx context.Context, t *testing.T, conn *grpc.ClientConn, service string, m grpc.MethodInfo) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fullMethod := "/" + service + "/" + m.Name
	if !m.IsClientStream && !m.IsServerStream {
		return conn.Invoke(ctx, fullMethod, &emptypb.Empty{}, &emptypb.Empty{})
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, fullMethod)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SendMsg(&emptypb.Empty{}) // the status comes by RecvMsg
	_ = stream.CloseSend()
	return stream.RecvMsg(&emptypb.Empty{})
}

// accessOf is what a method says about the right it needs; nil where it says nothing.
func accessOf(service, name string) *metav1.Access {
	desc, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	method := desc.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	access, _ := proto.GetExtension(method.Options(), metav1.E_Access).(*metav1.Access)
	return access
}

func TestEveryMethodIsDeniedByDefault(t *testing.T) {
	f := start(t, nil)
	for service, info := range f.server.GetServiceInfo() {
		for _, m := range info.Methods {
			access := accessOf(service, m.Name)
			open := access.GetOpen() || service == healthv1.Health_ServiceDesc.ServiceName || strings.HasPrefix(service, "grpc.reflection.")
			t.Run(service+"/"+m.Name, func(t *testing.T) {
				if open {
					if m.Name == "Watch" {
						return // lasts
					}
					if c := status.Code(invoke(context.Background(), t, f.conn, service, m)); c == codes.Unauthenticated || c == codes.PermissionDenied {
						t.Errorf("without token: %s", c)
					}
					return
				}
				if c := status.Code(invoke(context.Background(), t, f.conn, service, m)); c != codes.Unauthenticated {
					t.Errorf("without token: %s", c)
				}
				if c := status.Code(invoke(as("mallory"), t, f.conn, service, m)); c != codes.Unauthenticated {
					t.Errorf("with a bad token: %s", c)
				}
				if c := status.Code(invoke(as("bob"), t, f.conn, service, m)); (c != codes.PermissionDenied) != access.GetAuthenticated() {
					t.Errorf("without a right: %s", c)
				}
				closed := strings.HasPrefix(service, "grpc.testing.")
				if c := status.Code(invoke(as("alice"), t, f.conn, service, m)); (c == codes.PermissionDenied) != closed {
					t.Errorf("with every right: %s", c)
				}
			})
		}
	}
}

func TestAttributesComeFromTheRequest(t *testing.T) {
	f := start(t, nil)
	build := buildv1.NewBuildServiceClient(f.conn)
	role := authv1.NewClusterRoleServiceClient(f.conn)
	object := &buildv1.Build{Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	is := func(verb, subresource, namespace, name string) Attributes {
		return Attributes{Verb: verb, Group: "build.knative.dev", Resource: "builds", Subresource: subresource, Namespace: namespace, Name: name}
	}
	cases := map[string]struct {
		reason string
		call   func(context.Context) error
		want   []Attributes
	}{
		"create": {"what is created has no name yet, as in Kubernetes", func(ctx context.Context) error {
			_, err := build.Create(ctx, &buildv1.BuildServiceCreateRequest{Object: object})
			return err
		}, []Attributes{is("create", "", "shop", "")}},
		"update": {"the object's metadata stand in for what the request leaves out", func(ctx context.Context) error {
			_, err := build.Update(ctx, &buildv1.BuildServiceUpdateRequest{Object: object})
			return err
		}, []Attributes{is("update", "", "shop", "web")}},
		"request before object": {"the request's own namespace counts, the handler refuses another in the object", func(ctx context.Context) error {
			_, err := build.Update(ctx, &buildv1.BuildServiceUpdateRequest{Namespace: "a", Name: "b", Object: object})
			return err
		}, []Attributes{is("update", "", "a", "b")}},
		"status": {"", func(ctx context.Context) error {
			_, err := build.UpdateStatus(ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: object})
			return err
		}, []Attributes{is("update", "status", "shop", "web")}},
		"patch": {"", func(ctx context.Context) error {
			_, err := build.Patch(ctx, &metav1.PatchRequest{Namespace: "a", Name: "b", Patch: []byte("{}"), Subresource: "status"})
			return err
		}, []Attributes{is("patch", "status", "a", "b")}},
		"apply": {"an apply may create", func(ctx context.Context) error {
			_, err := build.Patch(ctx, &metav1.PatchRequest{Namespace: "a", Name: "b", Patch: []byte("{}"), ContentType: wire.ContentTypeApply})
			return err
		}, []Attributes{is("patch", "", "a", "b"), is("create", "", "a", "b")}},
		"deletecollection": {"", func(ctx context.Context) error {
			_, err := build.DeleteCollection(ctx, &metav1.DeleteCollectionRequest{Namespace: "a"})
			return err
		}, []Attributes{is("deletecollection", "", "a", "")}},
		"watch": {"streams are authorised by their first message", func(ctx context.Context) error {
			stream, err := build.Watch(ctx, &metav1.WatchRequest{Namespace: "a"})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		}, []Attributes{is("watch", "", "a", "")}},
		"access option": {"", func(ctx context.Context) error {
			stream, err := buildv1.NewLogServiceClient(f.conn).Read(ctx, &buildv1.LogServiceReadRequest{Namespace: "a", Name: "b"})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		}, []Attributes{is("get", "log", "a", "b")}},
		"cluster scope": {"a namespace in the request of a kind without cannot narrow the right", func(ctx context.Context) error {
			_, err := role.Get(ctx, &metav1.GetRequest{Namespace: "mine", Name: "admin"})
			return err
		}, []Attributes{{Verb: "get", Group: "auth.fairlead.dev", Resource: "clusterroles", Name: "admin"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f.authz.take()
			if c := status.Code(tc.call(as("alice"))); c != codes.Unimplemented {
				t.Fatalf("the handler was not reached: %s", c)
			}
			if d := cmp.Diff(tc.want, f.authz.take()); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, d)
			}
		})
	}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	f := start(t, nil)
	client := buildv1.NewBuildServiceClient(f.conn)
	cases := map[string]struct {
		get  func(context.Context) (*buildv1.Build, error)
		code codes.Code
	}{
		"raw":   {func(context.Context) (*buildv1.Build, error) { return nil, errors.New("password=hunter2") }, codes.Internal},
		"panic": {func(context.Context) (*buildv1.Build, error) { panic("password=hunter2") }, codes.Internal},
		"ours": {func(context.Context) (*buildv1.Build, error) {
			return nil, apierror.NotFound(apierror.Resource{Plural: "builds"}, "x").Wrap(errors.New("password=hunter2"))
		}, codes.NotFound},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f.builds.get = tc.get
			f.log.Reset()
			_, err := client.Get(as("alice"), &metav1.GetRequest{Namespace: "a", Name: "b"})
			if status.Code(err) != tc.code || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(f.log.String(), "hunter2") {
				t.Errorf("the log does not tell why: %s", f.log)
			}
		})
	}
}

func TestMetricsCountWhatCallersSee(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := start(t, func(c *Config) { c.Metrics = registry })
	f.builds.get = func(context.Context) (*buildv1.Build, error) { panic("boom") }
	_, _ = buildv1.NewBuildServiceClient(f.conn).Get(as("alice"), &metav1.GetRequest{Namespace: "a", Name: "b"})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if family.GetName() == "grpc_server_handled_total" && label.GetName() == "grpc_code" && label.GetValue() == codes.Internal.String() {
					counted += m.GetCounter().GetValue()
				}
			}
		}
	}
	if counted != 1 {
		t.Errorf("%v panics are counted as internal errors", counted)
	}
	other, err := NewServer(Config{Authn: users{}, Authz: f.authz, Metrics: registry})
	if err != nil {
		t.Fatalf("a second server with the registry: %v", err)
	}
	other.Stop()
}

func TestLogHoldsNoSecrets(t *testing.T) {
	f := start(t, nil)
	f.builds.get = func(context.Context) (*buildv1.Build, error) { return &buildv1.Build{}, nil }
	var header metadata.MD
	ctx := metadata.AppendToOutgoingContext(as("alice"), RequestIDKey, "req-1")
	if _, err := buildv1.NewBuildServiceClient(f.conn).Get(ctx, &metav1.GetRequest{Namespace: "a", Name: "b"}, grpc.Header(&header)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"req-1"}, header.Get(RequestIDKey)); d != "" {
		t.Errorf("request id (-want +got):\n%s", d)
	}
	line := f.log.String()
	for _, want := range []string{`"code":"OK"`, `"duration"`, `"request_id":"req-1"`, `"user":"alice"`, `/fairlead.build.v1.BuildService/Get`} {
		if !strings.Contains(line, want) {
			t.Errorf("%s is not in %s", want, line)
		}
	}
	f.log.Reset()
	_, err := buildv1.NewBuildServiceClient(f.conn).Get(as("s3cr3t"), &metav1.GetRequest{Namespace: "a", Name: "b"})
	if strings.Contains(f.log.String(), "s3cr3t") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("the token shows: %v\n%s", err, f.log)
	}
	_, err = buildv1.NewBuildServiceClient(f.conn).Get(as("broken"), &metav1.GetRequest{Namespace: "a", Name: "b"})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestUnauthenticatedSaysWhatToDo(t *testing.T) {
	f := start(t, nil)
	client := buildv1.NewBuildServiceClient(f.conn)
	for name, ctx := range map[string]context.Context{
		"none":  context.Background(),
		"basic": metadata.AppendToOutgoingContext(context.Background(), AuthorizationKey, "Basic YTpi"),
	} {
		_, err := client.Get(ctx, &metav1.GetRequest{Namespace: "a", Name: "b"})
		if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "Bearer TOKEN") || strings.Contains(err.Error(), "YTpi") {
			t.Errorf("%s: %v", name, err)
		}
	}
	two := metadata.AppendToOutgoingContext(as("alice"), AuthorizationKey, "Bearer bob")
	if _, err := client.Get(two, &metav1.GetRequest{Namespace: "a", Name: "b"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("two tokens: %v", err)
	}
}

func TestUnaryCallsHaveADeadline(t *testing.T) {
	f := start(t, func(c *Config) { c.UnaryTimeout = 20 * time.Millisecond })
	f.builds.get = func(ctx context.Context) (*buildv1.Build, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err := buildv1.NewBuildServiceClient(f.conn).Get(as("alice"), &metav1.GetRequest{Namespace: "a", Name: "b"})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

func TestEveryFaultOfARequestIsTold(t *testing.T) {
	f := start(t, nil)
	_, err := authv1.NewTokenServiceClient(f.conn).Issue(as("alice"), &authv1.IssueRequest{ExpirationSeconds: -1})
	e := apierror.FromStatus(err)
	want := []apierror.Cause{
		{Field: "user", Reason: apierror.CauseValueRequired, Message: "Required value"},
		{Field: "expirationSeconds", Reason: apierror.CauseValueInvalid, Message: "Invalid value: -1: must be greater than or equal to 0 and less than or equal to 31536000"},
	}
	if d := cmp.Diff(want, e.Causes); d != "" || e.Reason != apierror.ReasonInvalid {
		t.Errorf("%s (-want +got):\n%s", e.Reason, d)
	}
}

func TestLargeRequestsAreRefused(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxMessageBytes = 1 << 10 })
	_, err := buildv1.NewBuildServiceClient(f.conn).Patch(as("alice"), &metav1.PatchRequest{Namespace: "a", Name: "b", Patch: make([]byte, 2<<10)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
}

func TestNobodyIsLetInByAnUnfinishedConfig(t *testing.T) {
	_, err := NewServer(Config{UnaryTimeout: -1})
	for _, want := range []string{"authn", "authz", "unaryTimeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not told of: %v", want, err)
		}
	}
}

func TestErrorsFitIntoHeaders(t *testing.T) {
	f := start(t, nil)
	f.builds.get = func(context.Context) (*buildv1.Build, error) {
		causes := make([]apierror.Cause, 500)
		for i := range causes {
			causes[i] = apierror.Invalid(strings.Repeat("ä", 2000), strings.Repeat("x", 5000))
		}
		return nil, apierror.InvalidObject(apierror.Resource{Kind: "Build"}, strings.Repeat("n", 5000), causes)
	}
	_, err := buildv1.NewBuildServiceClient(f.conn).Get(as("alice"), &metav1.GetRequest{Namespace: "a", Name: "b"})
	e := apierror.FromStatus(err)
	if e.Reason != apierror.ReasonInvalid || len(e.Causes) != maxCauses+1 || e.Causes[maxCauses].Message != "and 400 more faults" ||
		len(e.Message) > maxMessageBytes+8 || len(e.Causes[0].Field) > maxCauseBytes+8 {
		t.Errorf("got %s, %d causes, %d bytes", e.Reason, len(e.Causes), len(e.Message))
	}
}

func TestNothingIsSentBeforeTheRightIsKnown(t *testing.T) {
	s := &authorizedStream{check: func(proto.Message) error { return nil }}
	if err := s.SendMsg(&emptypb.Empty{}); !errors.Is(err, errSentTooEarly) {
		t.Errorf("got %v", err)
	}
}
