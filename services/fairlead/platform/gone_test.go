// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/store/etcdtest"
)

// TestConnectionsToProcessesThatAreGoneAreClosed has a process end to which there are connections; others stay.
func TestConnectionsToProcessesThatAreGoneAreClosed(t *testing.T) {
	client := etcdtest.Start(t)
	members, stops := map[string]*lease.Member{}, map[string]func(){}
	for _, id := range []string{"self", "stays", "goes"} {
		m, err := lease.New(client, lease.Options{ID: id, Address: id + ":1"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := m.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		members[id], stops[id] = m, func() { cancel(); wg.Wait() }
		t.Cleanup(stops[id])
	}
	for self := members["self"]; ; {
		changed := self.Changed()
		if len(self.Peers()) == 3 {
			break
		}
		<-changed
	}
	conn := func(address string) *grpc.ClientConn {
		c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	goes, callers := conn("goes:1"), conn("goes:1")
	p := &Peers{
		platform: &Platform{lease: members["self"]},
		conns:    map[string]*grpc.ClientConn{"goes:1": goes, "stays:1": conn("stays:1")},
		callers:  map[string]*grpc.ClientConn{"goes:1": callers, "": conn("memory")},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.follow(ctx) })
	stops["goes"]()
	for _, c := range []*grpc.ClientConn{goes, callers} {
		for state := c.GetState(); state != connectivity.Shutdown; state = c.GetState() {
			if !c.WaitForStateChange(t.Context(), state) {
				t.Fatal("a connection to a process that is gone stays open")
			}
		}
	}
	cancel()
	wg.Wait()
	if p.conns["stays:1"] == nil || p.callers[""] == nil || len(p.conns)+len(p.callers) != 2 {
		t.Errorf("left are %v and %v, want those to what is there", p.conns, p.callers)
	}
}

// newFlagged makes a platform of flags that has not been opened.
func newFlagged(t *testing.T, args ...string) *Platform {
	t.Helper()
	p := process.New(process.Options{Name: "server"})
	b := New(p, Options{AllInOne: true})
	if err := p.Command().ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAPeerAtOurOwnAddress has another process tell the address of this one: what to do is said.
func TestAPeerAtOurOwnAddress(t *testing.T) {
	b := newFlagged(t, "--etcd-endpoints", "http://10.0.0.1:2379")
	_, err := (&Peers{platform: b}).Dial(b.advertised())
	if err == nil || !strings.Contains(err.Error(), "--advertise-address") {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestAddressesThatOthersCannotReach(t *testing.T) {
	for _, c := range []struct {
		reason         string
		args           []string
		onlyHere, wild bool
	}{
		{reason: "etcd inside"},
		{reason: "several processes on one machine", args: []string{"--etcd-endpoints", "http://127.0.0.1:2379"}},
		{reason: "etcd elsewhere", args: []string{"--etcd-endpoints", "http://10.0.0.1:2379"}, onlyHere: true},
		{reason: "everywhere, untold", args: []string{"--etcd-endpoints", "http://10.0.0.1:2379", "--grpc-listen", ":9090"}, onlyHere: true},
		{reason: "told", args: []string{"--etcd-endpoints", "http://10.0.0.1:2379", "--advertise-address", "10.0.0.2:9090"}},
		{reason: "told everywhere", args: []string{"--advertise-address", "0.0.0.0:9090"}, wild: true},
	} {
		t.Run(c.reason, func(t *testing.T) {
			b := newFlagged(t, c.args...)
			if got := b.onlyHere(); got != c.onlyHere {
				t.Errorf("only this machine reaches it: %t, want %t", got, c.onlyHere)
			}
			f := &process.Faults{}
			b.Validate(f)
			if err := f.Err(); (err != nil) != c.wild || c.wild && !strings.Contains(err.Error(), "--advertise-address") {
				t.Errorf("the faults are %v, want one: %t", err, c.wild)
			}
		})
	}
}
