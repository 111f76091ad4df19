// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/relay"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = 30 * time.Second

func newEtcd(t *testing.T) *etcdtest.Proxy {
	t.Helper()
	return etcdtest.NewProxy(t, etcdtest.StartEmbedded(t, t.TempDir()).Endpoints()[0])
}

func etcdClient(t *testing.T, line *etcdtest.Proxy) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{line.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// server answers each report with a table of the same version, while it leads; what it is called stands in the first.
type server struct {
	servingv1.UnimplementedRouterServiceServer

	leader *relay.Leader[string]
}

type serverStream = grpc.BidiStreamingServer[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]

func (s *server) Sync(router serverStream) error {
	term, err := s.leader.Find(router.Context())
	switch {
	case err != nil:
		return err
	case term == nil:
		return relay.Pass(s.leader, router, func(ctx context.Context, conn grpc.ClientConnInterface, opts ...grpc.CallOption) (grpc.BidiStreamingClient[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse], error) {
			return servingv1.NewRouterServiceClient(conn).Sync(ctx, opts...)
		})
	}
	if err := router.Send(&servingv1.RouterServiceSyncResponse{Hosts: []*servingv1.HostRoute{{Namespace: term.Program}}}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		for {
			m, err := router.Recv()
			if err == nil {
				err = router.Send(&servingv1.RouterServiceSyncResponse{Version: m.GetTableVersion()})
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-term.Over:
		return s.leader.Away()
	}
}

// replica is a process that may lead.
type replica struct {
	address string
	conn    *grpc.ClientConn
	leader  *relay.Leader[string]
	stop    func()
}

// start runs a replica. Without tell, it tells others no address.
func start(t *testing.T, etcd *etcdtest.Proxy, id string, tell bool) *replica {
	t.Helper()
	client := etcdClient(t, etcd)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{address: l.Addr().String()}
	o := lease.Options{ID: id, Address: r.address}
	if !tell {
		o.Address = ""
	}
	m, err := lease.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(address string) (*grpc.ClientConn, error) {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
		return conn, err
	}
	group := m.Group("leader", 1)
	r.leader = relay.New[string]("serving", group, func(address string) (grpc.ClientConnInterface, error) { return dial(address) })
	srv := grpc.NewServer(grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
		if err := h(srv, ss); err != nil {
			return apierror.ToStatus(err).Err()
		}
		return nil
	}))
	servingv1.RegisterRouterServiceServer(srv, &server{leader: r.leader})
	if r.conn, err = dial(r.address); err != nil {
		t.Fatal(err)
	}
	state, endState := context.WithCancel(context.Background())
	work, endWork := context.WithCancel(context.Background())
	var wg, working sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	wg.Go(func() {
		if err := m.Run(state); err != nil {
			t.Error(err)
		}
	})
	working.Go(func() {
		err := group.Lead(work, func(ctx context.Context) error {
			defer r.leader.Begin(id)()
			<-ctx.Done()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		endWork()
		r.leader.Stop()
		working.Wait()
		srv.Stop()
		endState()
		wg.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// open opens a stream to a replica, and returns who leads as the other end says, and how the stream ends.
func open(t *testing.T, to *replica) (grpc.BidiStreamingClient[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse], string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	s, err := servingv1.NewRouterServiceClient(to.conn).Sync(ctx)
	if err != nil {
		return nil, "", err
	}
	first, err := s.Recv()
	if err != nil {
		return nil, "", err
	}
	return s, first.GetHosts()[0].GetNamespace(), nil
}

// TestStreamsGoToTheLeader has a client that knows one replica only: its stream comes to whichever leads, both ways, ends
// when that changes, and comes to the next one.
func TestStreamsGoToTheLeader(t *testing.T) {
	etcd := newEtcd(t)
	a := start(t, etcd, "a", true)
	direct, who, err := open(t, a)
	if err != nil || who != "a" {
		t.Fatalf("a, asked itself: led by %q, %v", who, err)
	}
	b := start(t, etcd, "b", true)
	passed, who, err := open(t, b)
	if err != nil || who != "a" {
		t.Fatalf("b, while a leads: led by %q, %v", who, err)
	}
	for _, s := range []grpc.BidiStreamingClient[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]{direct, passed} {
		for version := range int64(3) {
			if err := s.Send(&servingv1.RouterServiceSyncRequest{TableVersion: version}); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Recv(); err != nil || got.GetVersion() != version {
				t.Fatalf("got %v, %v, want version %d back", got, err, version)
			}
		}
	}
	a.stop()
	for what, s := range map[string]grpc.BidiStreamingClient[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]{"direct": direct, "passed on": passed} {
		if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream that was %s: got %v, want Unavailable", what, err)
		}
	}
	if _, who, err = open(t, b); err != nil || who != "b" {
		t.Errorf("b, after a has ended: led by %q, %v", who, err)
	}
}

// TestLeaderWithoutAddress has a leader that cannot be reached: clients get to know why.
func TestLeaderWithoutAddress(t *testing.T) {
	etcd := newEtcd(t)
	a := start(t, etcd, "a", false)
	if _, who, err := open(t, a); err != nil || who != "a" {
		t.Fatalf("a, asked itself: led by %q, %v", who, err)
	}
	b := start(t, etcd, "b", true)
	_, _, err := open(t, b)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "tells no address") {
		t.Errorf("got %v, want Unavailable that says that the leader tells no address", err)
	}
}

// TestLeaderCutOff has a leader lose its lease while its process goes on: streams end at both, and go to the new one.
func TestLeaderCutOff(t *testing.T) {
	etcd := etcdtest.StartEmbedded(t, t.TempDir())
	line, other := etcdtest.NewProxy(t, etcd.Endpoints()[0]), etcdtest.NewProxy(t, etcd.Endpoints()[0])
	a := start(t, line, "a", true)
	direct, _, err := open(t, a)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, other, "b", true)
	passed, _, err := open(t, b)
	if err != nil {
		t.Fatal(err)
	}
	line.Cut()
	for what, s := range map[string]grpc.BidiStreamingClient[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]{"direct": direct, "passed on": passed} {
		if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream that was %s: got %v, want Unavailable", what, err)
		}
	}
	late := time.After(patience)
	for who := ""; who != "b"; {
		select {
		case <-late:
			t.Fatal("b never led")
		default:
		}
		if _, who, err = open(t, b); err != nil && status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
	}
	line.Restore()
	for who := ""; who != "b"; { // a takes part again, and passes on
		select {
		case <-late:
			t.Fatal("a never passed a stream on")
		default:
		}
		if _, who, err = open(t, a); err != nil && status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
	}
}
