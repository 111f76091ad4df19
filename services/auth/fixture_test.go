// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a Kubernetes that is only made up. What is claimed of real ones is tested on real ones.
type cluster struct {
	clientset *fake.Clientset
	claims    *claimed
}

// claimed is what a made-up cluster says of tokens and rights, and how often it was asked.
type claimed struct {
	mu       sync.Mutex
	away     bool
	accounts map[string]authenticationv1.UserInfo // by token
	audience map[string][]string                  // by token; the API's own where there is none
	allowed  func(authorizationv1.SubjectAccessReviewSpec) bool
	tokens   int
	rights   int
}

func (c *claimed) set(change func(*claimed)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (c *claimed) asked() (tokens, rights int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens, c.rights
}

var errAway = errors.New("connection refused")

func (c *claimed) token(action ktesting.Action) (bool, runtime.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens++
	create, _ := action.(ktesting.CreateAction)
	review, ok := create.GetObject().(*authenticationv1.TokenReview)
	if !ok || c.away {
		return true, nil, errAway
	}
	answer := review.DeepCopy()
	account, known := c.accounts[review.Spec.Token]
	audiences := c.audience[review.Spec.Token]
	if len(audiences) == 0 {
		audiences = []string{"https://kubernetes.default.svc"}
	}
	if len(review.Spec.Audiences) > 0 && !slices.Contains(audiences, review.Spec.Audiences[0]) || len(review.Spec.Audiences) == 0 && len(c.audience[review.Spec.Token]) > 0 {
		known = false
	}
	if known {
		answer.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: account, Audiences: audiences}
	}
	return true, answer, nil
}

func (c *claimed) right(action ktesting.Action) (bool, runtime.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rights++
	create, _ := action.(ktesting.CreateAction)
	review, ok := create.GetObject().(*authorizationv1.SubjectAccessReview)
	if !ok || c.away {
		return true, nil, errAway
	}
	answer := review.DeepCopy()
	answer.Status.Allowed = slices.Contains(review.Spec.Groups, "fairlead:admins") || c.allowed != nil && c.allowed(review.Spec)
	return true, answer, nil
}

func (c cluster) Clientset() kubernetes.Interface { return c.clientset }
func (cluster) Installation() string              { return "test" }
func (cluster) SystemNamespace() string           { return "fairlead-system" }

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// process is one process of an installation.
type process struct {
	auth   *Server
	server *grpc.Server
	memory *rpc.InMemory
	conn   *grpc.ClientConn
	tokens authv1.TokenServiceClient
	roles  authv1.RoleServiceClient
	crs    authv1.ClusterRoleServiceClient
	binds  authv1.RoleBindingServiceClient
	crbs   authv1.ClusterRoleBindingServiceClient
	log    *lockedBuffer
}

// installation is what processes share.
type installation struct {
	etcd    *clientv3.Client
	cluster cluster
}

func install(t testing.TB) *installation {
	t.Helper()
	clientset := fake.NewClientset()
	claims := &claimed{accounts: map[string]authenticationv1.UserInfo{}, audience: map[string][]string{}}
	clientset.PrependReactor("create", "subjectaccessreviews", claims.right)
	clientset.PrependReactor("create", "tokenreviews", claims.token)
	return &installation{etcd: etcdtest.Start(t), cluster: cluster{clientset, claims}}
}

func (i *installation) start(t testing.TB) *process {
	t.Helper()
	return i.startWith(t, Config{})
}

func (i *installation) startWith(t testing.TB, cfg Config) *process {
	t.Helper()
	p := &process{log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st, err := store.New(i.etcd, store.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if p.auth, err = New(cfg, Deps{Store: st, Etcd: i.etcd, Kube: i.cluster, Log: log}); err != nil {
		t.Fatal(err)
	}
	if p.server, err = rpc.NewServer(rpc.Config{Log: log, Authn: p.auth.Authenticator(), Authz: p.auth.Authorizer()}); err != nil {
		t.Fatal(err)
	}
	if err := p.auth.Register(p.server); err != nil {
		t.Fatal(err)
	}
	buildv1.RegisterBuildServiceServer(p.server, buildv1.UnimplementedBuildServiceServer{})
	buildv1.RegisterLogServiceServer(p.server, buildv1.UnimplementedLogServiceServer{})
	servingv1.RegisterRouterServiceServer(p.server, servingv1.UnimplementedRouterServiceServer{})
	p.memory = rpc.NewInMemory(p.server)
	if p.conn, err = p.memory.Dial(nil); err != nil {
		t.Fatal(err)
	}
	p.tokens = authv1.NewTokenServiceClient(p.conn)
	p.roles, p.crs = authv1.NewRoleServiceClient(p.conn), authv1.NewClusterRoleServiceClient(p.conn)
	p.binds, p.crbs = authv1.NewRoleBindingServiceClient(p.conn), authv1.NewClusterRoleBindingServiceClient(p.conn)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = st.Run(ctx) })
	wg.Go(func() { _ = p.auth.Run(ctx) })
	t.Cleanup(func() {
		_ = p.conn.Close()
		p.server.Stop()
		_ = p.memory.Close()
		cancel()
		wg.Wait()
	})
	return p
}

// with is a call's context with a token.
func with(t *testing.T, token string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, rpc.AuthorizationKey, "Bearer "+token)
}

// admin is the context of the first administrator.
func (p *process) admin(t *testing.T) context.Context {
	t.Helper()
	token, err := p.auth.AdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return with(t, token)
}

// as is the context of anybody.
func (p *process) as(t *testing.T, user string, groups ...string) context.Context {
	t.Helper()
	made, err := p.auth.tokens.mint(t.Context(), tokenSpec{user: user, groups: groups, lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return with(t, made.token)
}

func clusterRole(name string, rules ...*authv1.PolicyRule) *authv1.ClusterRole {
	return &authv1.ClusterRole{Metadata: &metav1.ObjectMeta{Name: name}, Rules: rules}
}

func rule(verbs, groups, resources string, names ...string) *authv1.PolicyRule {
	return &authv1.PolicyRule{
		Verbs: strings.Split(verbs, ","), ApiGroups: strings.Split(groups, ","), Resources: strings.Split(resources, ","), ResourceNames: names,
	}
}

func clusterBinding(name, role string, subjects ...*authv1.Subject) *authv1.ClusterRoleBinding {
	return &authv1.ClusterRoleBinding{
		Metadata: &metav1.ObjectMeta{Name: name}, Subjects: subjects, RoleRef: &authv1.RoleRef{Kind: "ClusterRole", Name: role},
	}
}

func user(name string) *authv1.Subject { return &authv1.Subject{Kind: "User", Name: name} }

// give gives rights, as the administrator, and waits until they hold.
func (p *process) give(t *testing.T, name string, who *authv1.Subject, rules ...*authv1.PolicyRule) {
	t.Helper()
	ctx := p.admin(t)
	if _, err := p.crs.Create(ctx, &authv1.ClusterRoleServiceCreateRequest{Object: clusterRole(name, rules...)}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.crbs.Create(ctx, &authv1.ClusterRoleBindingServiceCreateRequest{Object: clusterBinding(name, name, who)}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, func() bool {
		for _, g := range p.auth.policy.index()[subjectOf(who)] {
			if len(g.rules) == len(rules) && g.rules[0].Resources[0] == rules[0].GetResources()[0] {
				return true
			}
		}
		return false
	})
}

// eventually waits for a change of the policy that makes something true.
func (p *process) eventually(t testing.TB, is func() bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		changed := p.auth.policy.changed.next()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatal("it does not become true")
		}
	}
}

func fails(t *testing.T, err error, reason apierror.Reason, text string) *apierror.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", reason)
	}
	var e *apierror.Error
	if !errors.As(err, &e) {
		e = apierror.FromStatus(err)
	}
	if e.Reason != reason || !strings.Contains(e.Message, text) {
		t.Errorf("got %s: %s, want %s: %s", e.Reason, e.Message, reason, text)
	}
	return e
}
