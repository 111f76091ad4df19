// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/relay"
	"fairlead.dev/services/internal/store"
)

// session is a connected dispatcher.
type session struct {
	name   string
	states map[string]*eventingv1.DispatchState // by UID
}

type stream = grpc.BidiStreamingServer[eventingv1.DispatcherServiceSyncRequest, eventingv1.DispatcherServiceSyncResponse]

// Server is the server of DispatcherService. Where another process leads, streams are passed on to it.
type Server struct {
	eventingv1.UnimplementedDispatcherServiceServer

	leader *relay.Leader[*Program]
}

// NewServer makes a Server.
func NewServer(leader *relay.Leader[*Program]) *Server { return &Server{leader: leader} }

// Lead has dispatchers programmed by p until the function that is returned is called.
func (s *Server) Lead(p *Program) (end func()) { return s.leader.Begin(p) }

// Stop ends all streams: the process ends.
func (s *Server) Stop() { s.leader.Stop() }

// Sync sends configurations to a dispatcher and takes its reports, until one of the two ends.
func (s *Server) Sync(dispatcher stream) error {
	term, err := s.leader.Find(dispatcher.Context())
	switch {
	case err != nil:
		return err //nolint:wrapcheck // apierror, or the caller's end
	case term == nil:
		return relay.Pass(s.leader, dispatcher, func(ctx context.Context, conn grpc.ClientConnInterface, opts ...grpc.CallOption) (grpc.BidiStreamingClient[eventingv1.DispatcherServiceSyncRequest, eventingv1.DispatcherServiceSyncResponse], error) {
			return eventingv1.NewDispatcherServiceClient(conn).Sync(ctx, opts...)
		}) //nolint:wrapcheck // gRPC's own
	}
	if err := term.Program.serve(dispatcher, term.Over); err != nil {
		return err
	}
	select {
	case <-term.Over:
		return s.leader.Away() //nolint:wrapcheck // apierror
	default:
		return nil
	}
}

// serve serves a dispatcher until its stream ends, or over is closed.
func (p *Program) serve(s stream, over <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(s.Context())
	defer cancel(nil)
	if err := p.catchUp(ctx); err != nil {
		return err
	}
	me := &session{}
	p.join(me)
	defer p.leave(me)
	go func() { cancel(p.receive(s, me)) }()
	var sent []*eventingv1.BrokerConfig
	for first := true; ; first = false {
		config, changed := p.config()
		if first || !equal(sent, config.GetBrokers()) {
			if err := s.Send(config); err != nil {
				return err //nolint:wrapcheck // gRPC's own
			}
			sent = config.GetBrokers()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		}
	}
}

func equal(a, b []*eventingv1.BrokerConfig) bool {
	return slices.EqualFunc(a, b, func(x, y *eventingv1.BrokerConfig) bool { return proto.Equal(x, y) })
}

func (p *Program) receive(s stream, me *session) error {
	for {
		report, err := s.Recv()
		if err != nil {
			return err //nolint:wrapcheck // gRPC's own
		}
		p.report(me, report)
	}
}

func (p *Program) join(me *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[me] = struct{}{}
}

// leave forgets a dispatcher. What it served is looked at again.
func (p *Program) leave(me *session) {
	p.mu.Lock()
	delete(p.sessions, me)
	p.lastSeen = p.now()
	name, uids := me.name, make(map[string]bool, len(me.states))
	for uid := range me.states {
		uids[uid] = true
	}
	p.mu.Unlock()
	p.log.Info("dispatcher disconnected", "dispatcher", name)
	p.tell(uids)
}

// report takes over what a dispatcher says, and has looked at what is new in it.
func (p *Program) report(me *session, r *eventingv1.DispatcherServiceSyncRequest) {
	states := make(map[string]*eventingv1.DispatchState, len(r.GetStates()))
	news := map[string]bool{}
	for _, s := range r.GetStates() {
		states[s.GetUid()] = s
		if old := me.states[s.GetUid()]; old == nil || old.GetReady() != s.GetReady() || old.GetError() != s.GetError() || old.GetDeliveryError() != s.GetDeliveryError() {
			news[s.GetUid()] = true
		}
	}
	for uid := range me.states {
		if states[uid] == nil {
			news[uid] = true
		}
	}
	p.mu.Lock()
	if me.name == "" {
		p.log.Info("dispatcher connected", "dispatcher", r.GetDispatcher())
	}
	me.name, me.states = r.GetDispatcher(), states
	p.mu.Unlock()
	p.tell(news)
}

// tell has the brokers and triggers with those UIDs reconciled.
func (p *Program) tell(uids map[string]bool) {
	if len(uids) == 0 {
		return
	}
	p.mu.Lock()
	broker, trigger := p.notify[ofBroker], p.notify[ofTrigger]
	p.mu.Unlock()
	if broker != nil {
		for _, b := range p.brokers.ListCached("", nil) {
			if uids[b.GetMetadata().GetUid()] {
				broker(store.KeyOf(b))
			}
		}
	}
	if trigger != nil {
		for _, t := range p.triggers.ListCached("", nil) {
			if uids[t.GetMetadata().GetUid()] {
				trigger(store.KeyOf(t))
			}
		}
	}
}

// Brokers is the source of brokers about which dispatchers report something new.
func (p *Program) Brokers() reconcile.Source { return p.source(ofBroker) }

// Triggers is the source of triggers about which dispatchers report something new.
func (p *Program) Triggers() reconcile.Source { return p.source(ofTrigger) }

func (p *Program) source(k kindOf) reconcile.Source {
	return reconcile.Source{Watch: func(ctx context.Context, add func(store.Key)) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.notify[k] = add
		context.AfterFunc(ctx, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.notify, k)
		})
		return nil
	}}
}

// State is what dispatchers say about a broker or trigger.
type State struct {
	// Connected tells whether any dispatcher is connected.
	Connected bool
	// Away is how long none has been, when none is.
	Away time.Duration
	// Known tells whether any dispatcher has reported on the object.
	Known bool
	// Ready tells whether a dispatcher serves it.
	Ready bool
	// Error is why none does.
	Error string
	// DeliveryError is why the newest delivery failed; empty when it did not.
	DeliveryError string
}

// State returns what dispatchers say about the object with that UID. Serving is enough by one of them; a failure of
// deliveries is one with any.
func (p *Program) State(uid string) State {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := State{Connected: len(p.sessions) > 0}
	if !st.Connected {
		st.Away = p.now().Sub(p.lastSeen)
	}
	for s := range p.sessions {
		report := s.states[uid]
		if report == nil {
			continue
		}
		st.Known = true
		st.Ready = st.Ready || report.GetReady()
		st.Error = max(st.Error, report.GetError())
		st.DeliveryError = max(st.DeliveryError, report.GetDeliveryError())
	}
	return st
}
