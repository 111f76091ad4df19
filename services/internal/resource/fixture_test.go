// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everyone takes each token for the user's name, and lets all do all but what `denied` says.
type everyone struct{ denied func(rpc.Attributes) bool }

func (everyone) Authenticate(_ context.Context, token string) (*rpc.Identity, error) {
	return &rpc.Identity{User: token}, nil
}

func (e everyone) Authorize(_ context.Context, _ *rpc.Identity, a rpc.Attributes) error {
	if e.denied != nil && e.denied(a) {
		return apierror.Forbidden(apierror.Resource{Group: a.Group, Plural: a.Resource}, a.Name, "no")
	}
	return nil
}

// namespaces is what there is of namespaces.
type namespaces map[string]kube.NamespaceState

func (n namespaces) State(_ context.Context, name string) (kube.NamespaceState, error) {
	return n[name], nil
}

type fixture struct {
	server *grpc.Server
	store  *store.Store
	etcd   *clientv3.Client
	conn   *grpc.ClientConn
	build  buildv1.BuildServiceClient
	role   authv1.ClusterRoleServiceClient
	revs   servingv1.RevisionServiceClient
	binds  authv1.ClusterRoleBindingServiceClient
	ctx    context.Context //nolint:containedctx // of all calls of a test
}

func kind(t *testing.T, m proto.Message) kinds.Kind {
	t.Helper()
	k, ok := kinds.ByMessage(m.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", m)
	}
	return k
}

// buildHooks are like those of a real kind: a default, and a fault that no constraint can tell.
func buildHooks() resource.Hooks {
	return resource.Hooks{
		Default: func(_ context.Context, obj, _ store.Object) {
			b, ok := obj.(*buildv1.Build)
			if ok && b.GetSpec() != nil && b.GetSpec().GetTimeout() == "" {
				b.GetSpec().Timeout = "10m0s"
			}
		},
		Validate: func(_ context.Context, obj, _ store.Object) []apierror.Cause {
			if b, ok := obj.(*buildv1.Build); ok && len(b.GetSpec().GetSteps()) == 0 {
				return []apierror.Cause{apierror.Required("spec.steps", "Required value: at least one step")}
			}
			return nil
		},
		Authorize: func(ctx context.Context, obj, _ store.Object) error {
			id, ok := rpc.IdentityFrom(ctx)
			if b, is := obj.(*buildv1.Build); is && ok && id.User == "mallory" && b.GetSpec().GetServiceAccountName() != "" {
				return apierror.Forbidden(apierror.Resource{Plural: "builds"}, "", "mallory may not choose a service account")
			}
			return nil
		},
	}
}

func start(t *testing.T) *fixture { return startWith(t, everyone{}) }

func startWith(t *testing.T, who everyone) *fixture {
	t.Helper()
	return startHandlers(t, who,
		resource.Handler{Kind: kind(t, &buildv1.Build{}), Hooks: buildHooks()},
		resource.Handler{Kind: kind(t, &servingv1.Revision{})},
		resource.Handler{Kind: kind(t, &authv1.ClusterRole{})},
		resource.Handler{Kind: kind(t, &authv1.ClusterRoleBinding{})},
	)
}

func startEtcd(t *testing.T) *clientv3.Client {
	t.Helper()
	return etcdtest.Start(t)
}

func startStore(t *testing.T) *store.Store {
	t.Helper()
	return storetest.StartOn(t, startEtcd(t), store.Options{})
}

// startHandlers serves kinds on an etcd of their own.
func startHandlers(t *testing.T, who everyone, handlers ...resource.Handler) *fixture {
	t.Helper()
	client := startEtcd(t)
	st, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	server, err := rpc.NewServer(rpc.Config{Authn: who, Authz: who})
	if err != nil {
		t.Fatal(err)
	}
	err = resource.Register(server, resource.Deps{
		Store:      st,
		Namespaces: namespaces{"shop": kube.NamespaceActive, "other": kube.NamespaceActive, "ending": kube.NamespaceTerminating},
	}, handlers...)
	if err != nil {
		t.Fatal(err)
	}
	memory := rpc.NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	call, done := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), rpc.AuthorizationKey, "Bearer alice"), time.Minute)
	t.Cleanup(func() {
		done()
		_ = conn.Close()
		server.Stop()
		_ = memory.Close()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return &fixture{
		server: server, store: st, etcd: client, conn: conn, ctx: call,
		build: buildv1.NewBuildServiceClient(conn), role: authv1.NewClusterRoleServiceClient(conn),
		revs: servingv1.NewRevisionServiceClient(conn), binds: authv1.NewClusterRoleBindingServiceClient(conn),
	}
}

func aBuild(namespace, name string) *buildv1.Build {
	return &buildv1.Build{
		Metadata: &metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:     &buildv1.BuildSpec{Steps: []*corepb.Container{{Name: "one", Image: "busybox"}}},
	}
}

func (f *fixture) created(t *testing.T, b *buildv1.Build) *buildv1.Build {
	t.Helper()
	out, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: b})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fails checks reason and text of an error.
func fails(t *testing.T, err error, reason apierror.Reason, text string) *apierror.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", reason)
	}
	e := apierror.FromStatus(err)
	if e.Reason != reason {
		t.Errorf("reason: got %s (%s), want %s", e.Reason, e.Message, reason)
	}
	if !contains(e.Message, text) {
		t.Errorf("message: %q is not in %q", text, e.Message)
	}
	return e
}

func fields(e *apierror.Error) []string {
	out := make([]string, 0, len(e.Causes))
	for _, c := range e.Causes {
		out = append(out, c.Field)
	}
	return out
}
