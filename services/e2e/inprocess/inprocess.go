// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inprocess runs the services of the all-in-one and the front door in a test's own process, on a real etcd, as
// far as they need no cluster. It is for tests of what the API answers.
package inprocess

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	ktesting "k8s.io/client-go/testing"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/build"
	"fairlead.dev/services/eventing"
	"fairlead.dev/services/gateway"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/serving"
)

// Prefixes of the namespaces that are not simply there: all others are.
const (
	// Missing begins the names of namespaces that do not exist.
	Missing = "missing"
	// Ending begins the names of namespaces that are being deleted.
	Ending = "ending"
)

const (
	installation    = "inprocess"
	systemNamespace = "fairlead-system"
)

// Server is what was started. It ends with its test.
type Server struct {
	// RPC is the services, for tests that have them listen.
	RPC *grpc.Server
	// Conn leads to the services.
	Conn *grpc.ClientConn
	// Handler is the front door.
	Handler http.Handler
	// Admin is the token of an administrator.
	Admin string
	// Store is where the objects are; what it writes goes past admission, as a controller's writes do.
	Store *store.Store
}

// keys is a cluster that keeps signing keys, and gives administrators every right.
type keys struct{ clientset kubernetes.Interface }

func (k keys) Clientset() kubernetes.Interface { return k.clientset }
func (keys) Installation() string              { return installation }
func (keys) SystemNamespace() string           { return systemNamespace }

func newKeys() keys {
	clientset := fake.NewClientset()
	clientset.PrependReactor("create", "subjectaccessreviews", func(action ktesting.Action) (bool, runtime.Object, error) {
		create, _ := action.(ktesting.CreateAction)
		review, ok := create.GetObject().(*authorizationv1.SubjectAccessReview)
		if !ok {
			return false, nil, nil
		}
		answer := review.DeepCopy()
		answer.Status.Allowed = slices.Contains(review.Spec.Groups, "fairlead:admins")
		return true, answer, nil
	})
	return keys{clientset}
}

// namespaces is a kube-apiserver that has namespaces, and nothing else.
func namespaces(tb testing.TB) *kube.Client {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/")
		if !ok || strings.Contains(name, "/") || strings.HasPrefix(name, Missing) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(&kmetav1.Status{
				TypeMeta: kmetav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: kmetav1.StatusFailure,
				Reason: kmetav1.StatusReasonNotFound, Code: http.StatusNotFound,
			})
			return
		}
		phase := corev1.NamespaceActive
		if strings.HasPrefix(name, Ending) {
			phase = corev1.NamespaceTerminating
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&corev1.Namespace{
			TypeMeta: kmetav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: kmetav1.ObjectMeta{Name: name},
			Status: corev1.NamespaceStatus{Phase: phase},
		})
	}))
	tb.Cleanup(server.Close)
	client, err := kube.NewClient(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
		kube.Options{Installation: installation, Component: "fairlead", SystemNamespace: systemNamespace})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		_ = client.Run(ended) // ends what NewClient has begun
	})
	return client
}

// Start runs the services. The functions change the front door's configuration from the default.
func Start(tb testing.TB, configure ...func(*gateway.Config)) Server {
	tb.Helper()
	return StartWith(tb, Config{Gateway: configure})
}

// Config says how the services differ from the default.
type Config struct {
	// Gateway changes the front door's configuration.
	Gateway []func(*gateway.Config)
	// Auth is the configuration of auth.
	Auth auth.Config
	// TLS, ClientCAs and Clients are those of rpc.Config, for tests that have the services listen.
	TLS       *tls.Config
	ClientCAs func() *x509.CertPool
	Clients   rpc.Clients
}

// StartWith runs the services.
func StartWith(tb testing.TB, c Config) Server {
	tb.Helper()
	etcd := etcdtest.Start(tb)
	st, err := store.New(etcd, store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	k := namespaces(tb)
	authServer, err := auth.New(c.Auth, auth.Deps{Store: st, Etcd: etcd, Kube: newKeys(), Namespaces: k})
	if err != nil {
		tb.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{
		Authn: authServer.Authenticator(), Authz: authServer.Authorizer(), TLS: c.TLS, ClientCAs: c.ClientCAs, Clients: c.Clients,
	})
	if err != nil {
		tb.Fatal(err)
	}
	memory := rpc.NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		tb.Fatal(err)
	}
	register(tb, server, authServer, conn, st, k)
	ctx, cancel := context.WithCancel(context.Background())
	cfg := gateway.DefaultConfig()
	for _, change := range c.Gateway {
		change(&cfg)
	}
	door, err := gateway.New(ctx, cfg, gateway.Deps{
		Conn: conn, Kinds: kinds.Versions(), Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		cancel()
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = st.Run(ctx) })
	wg.Go(func() { _ = authServer.Run(ctx) })
	tb.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		_ = memory.Close()
		cancel()
		wg.Wait()
	})
	admin, err := authServer.AdminToken(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return Server{RPC: server, Conn: conn, Handler: door.Handler(), Admin: admin, Store: st}
}

// register adds everything that the one process serves.
func register(tb testing.TB, server *grpc.Server, authServer *auth.Server, conn *grpc.ClientConn, st *store.Store, k *kube.Client) {
	tb.Helper()
	buildConfig := build.DefaultConfig()
	buildConfig.StepImage = "registry.test/step@sha256:" + strings.Repeat("0", 64)
	buildServer, err := build.New(buildConfig, build.Deps{Store: st, Kube: k})
	if err != nil {
		tb.Fatal(err)
	}
	servingServer, err := serving.New(serving.DefaultConfig(), serving.Deps{Store: st, Kube: k})
	if err != nil {
		tb.Fatal(err)
	}
	eventingServer, err := eventing.New(eventing.DefaultConfig(), eventing.Deps{Store: st, Kube: k})
	if err != nil {
		tb.Fatal(err)
	}
	committer, err := apply.NewCommitter(apply.CommitterDeps{Store: st, Peers: peer{conn}, Kinds: kinds.Versions()})
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range []interface {
		Register(reg grpc.ServiceRegistrar) error
	}{authServer, buildServer, servingServer, eventingServer, committer} {
		if err := s.Register(server); err != nil {
			tb.Fatal(err)
		}
	}
}

// peer is the one process that owns all kinds.
type peer struct{ conn *grpc.ClientConn }

func (p peer) Conn(string) (grpc.ClientConnInterface, error) { return p.conn, nil }
