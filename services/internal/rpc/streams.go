// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"fairlead.dev/services/internal/apierror"
)

const (
	// clusterInterval is how often the cluster is asked about streams of its identities, which it tells nobody of.
	clusterInterval = 500 * time.Millisecond
	// changeInterval is how long a change waits for those that come with it.
	changeInterval = 50 * time.Millisecond
	// retryInterval is how soon what could not be answered is asked again. The stream goes on meanwhile.
	retryInterval = time.Second
	// clockInterval is how often the clock is looked at while nothing is due: it may have been set.
	clockInterval = 30 * time.Second
	// maxClusterAsks is how many questions about streams the cluster has before it at once.
	maxClusterAsks = 8
)

// streams ends streams whose callers have lost what let them in: the token revoked, expired or without its key, the right
// taken away. Nothing is done while nothing changes, however many streams there are; where the cluster decides, it is
// asked again all the time. What cannot be found out ends no stream.
type streams struct {
	authn *authentication
	authz Authorizer
	now   func() time.Time

	mu      sync.Mutex
	open    map[*openStream]struct{}
	running bool
	wake    chan struct{}
}

func newStreams(authn *authentication, authz Authorizer, now func() time.Time) *streams {
	return &streams{authn: authn, authz: authz, now: now, open: map[*openStream]struct{}{}, wake: make(chan struct{}, 1)}
}

// openStream is a stream that ends when its caller has lost what let it in.
type openStream struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // grpc.ServerStream hands its context out by a method
	end context.CancelCauseFunc
	of  *streams
	// who is who really calls, as it was known when the stream was opened.
	who caller
	// reads tells that the handler may wait for messages, rather than for the context.
	reads bool

	// id, ask and what follows are guarded by of.mu.
	id  *Identity
	ask *Attributes
	// sinceAuthn and sinceAuthz are closed when the answers have changed since they were given.
	sinceAuthn, sinceAuthz <-chan struct{}
}

// streamEndedError is why a stream was ended.
type streamEndedError struct{ why *apierror.Error }

func (e *streamEndedError) Error() string { return e.why.Error() }

// begin takes a stream of a known caller into care. The caller calls close.
func (s *streams) begin(ss grpc.ServerStream, reads bool) *openStream {
	ctx, end := context.WithCancelCause(ss.Context())
	c := callFrom(ctx)
	id, _ := IdentityFrom(ctx)
	o := &openStream{ServerStream: ss, ctx: ctx, end: end, of: s, who: c.caller, reads: reads, id: id, sinceAuthn: c.caller.since}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[o] = struct{}{}
	if !s.running {
		s.running = true
		go s.run()
	}
	s.look()
	return o
}

// allowed notes which right the stream needs. It was asked for after since was taken.
func (o *openStream) allowed(a Attributes, since <-chan struct{}) {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	o.ask, o.sinceAuthz = &a, since
	if closed(since) {
		o.of.look()
	}
}

// close lets the stream go. It returns what the caller is told: err, or why the stream was ended.
func (o *openStream) close(err error) error {
	o.of.mu.Lock()
	delete(o.of.open, o)
	if len(o.of.open) == 0 {
		o.of.look()
	}
	o.of.mu.Unlock()
	if why := o.ended(); why != nil {
		err = why
	}
	o.end(nil)
	return err
}

// ended returns why the stream was ended; nil while it was not.
func (o *openStream) ended() error {
	if end, ok := context.Cause(o.ctx).(*streamEndedError); ok { //nolint:errorlint // set by us, as it is
		return end.why
	}
	return nil
}

// Context ends with the stream.
func (o *openStream) Context() context.Context { return o.ctx }

// SendMsg sends nothing once the stream was ended. What was waiting to be sent then may still be.
func (o *openStream) SendMsg(m any) error {
	if why := o.ended(); why != nil {
		return why
	}
	return o.ServerStream.SendMsg(m)
}

// RecvMsg returns when the stream is ended, too.
func (o *openStream) RecvMsg(m any) error {
	if !o.reads {
		return o.ServerStream.RecvMsg(m)
	}
	if why := o.ended(); why != nil {
		return why
	}
	got := make(chan error, 1)
	go func() { got <- o.ServerStream.RecvMsg(m) }() // ends with the handler, which returns once we do
	select {
	case err := <-got:
		return err
	case <-o.ctx.Done():
		if why := o.ended(); why != nil {
			return why
		}
		return o.ctx.Err() //nolint:wrapcheck // what the transport would say
	}
}

// look has the streams looked at.
func (s *streams) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run looks after the streams as long as there are any.
func (s *streams) run() {
	var cluster sync.WaitGroup
	defer cluster.Wait()
	var asking atomic.Bool // one round at a time
	var lastCluster time.Time
	timer := time.NewTimer(clockInterval)
	defer timer.Stop()
	for {
		authn, clients, authz := changes(s.authn.authn), changes(s.authn.clients), changes(s.authz) // before anything is asked
		due, ofCluster, next, some := s.survey()
		if !some {
			return
		}
		if len(due) > 0 && s.askLocal(due, authn, clients, authz) {
			next = min(next, retryInterval)
		}
		if len(ofCluster) > 0 {
			next = min(next, clusterInterval)
			if time.Since(lastCluster) >= clusterInterval && asking.CompareAndSwap(false, true) {
				lastCluster = time.Now()
				cluster.Go(func() {
					defer asking.Store(false)
					s.askCluster(ofCluster)
				})
			}
		}
		timer.Reset(next)
		select {
		case <-authn:
			time.Sleep(changeInterval)
		case <-clients:
			time.Sleep(changeInterval)
		case <-authz:
			time.Sleep(changeInterval)
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// changes returns what tells of the next change; nil for what does not change.
func changes(of any) <-chan struct{} {
	if c, ok := of.(Changing); ok {
		return c.Changed()
	}
	return nil
}

// survey ends the streams that have expired, and returns those about which something has changed, those about which the
// cluster is asked, and how long nothing else expires. It is false when there are none, and nobody looks after them then.
func (s *streams) survey() (due, ofCluster []*openStream, next time.Duration, some bool) {
	now := s.now()
	next = clockInterval
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 {
		s.running = false
		return nil, nil, 0, false
	}
	for o := range s.open {
		if !o.id.Expires.IsZero() {
			left := o.id.Expires.Sub(now)
			if left <= 0 {
				o.end(&streamEndedError{expired(o.id)})
				continue
			}
			next = min(next, left)
		}
		if o.id.Source.OfCluster() {
			ofCluster = append(ofCluster, o)
		} else if closed(o.sinceAuthn) || closed(o.sinceAuthz) {
			due = append(due, o)
		}
	}
	return due, ofCluster, next, true
}

func expired(id *Identity) *apierror.Error {
	what := "token"
	switch id.Real().Source {
	case SourceCertificate, SourceUserCertificate, SourceClusterCertificate:
		what = "certificate"
	}
	return apierror.Unauthorized("the stream has ended: the %s that it was opened with has expired; open it again with a new one", what)
}

// askLocal asks again about streams. It tells whether some could not be answered.
func (s *streams) askLocal(due []*openStream, authn, clients, authz <-chan struct{}) (again bool) {
	ctx, cancel := context.WithTimeout(context.Background(), retryInterval)
	defer cancel()
	q := s.questions()
	for _, o := range due {
		since := authn
		if o.who.certificates != nil {
			since = clients
		}
		if !s.settle(ctx, q, o, since, authz) {
			again = true
		}
	}
	return again
}

// askCluster asks the cluster about streams, each question once.
func (s *streams) askCluster(all []*openStream) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	byCaller := map[[2]string][]*openStream{}
	for _, o := range all {
		key := [2]string{o.who.token, o.who.id.User}
		byCaller[key] = append(byCaller[key], o)
	}
	slots := make(chan struct{}, maxClusterAsks)
	var wg sync.WaitGroup
	for _, group := range byCaller {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			q := s.questions()
			for _, o := range group {
				s.settle(ctx, q, o, nil, nil)
			}
		})
	}
	wg.Wait()
}

// settle asks about one stream, and ends it if it may not go on. It is false when that could not be found out.
func (s *streams) settle(ctx context.Context, q *questions, o *openStream, authn, authz <-chan struct{}) bool {
	s.mu.Lock()
	ask := o.ask
	s.mu.Unlock()
	id, err := q.ask(ctx, o.who, ask)
	var denied *apierror.Error
	if err != nil && (!errors.As(err, &denied) || denied.Reason != apierror.ReasonUnauthorized && denied.Reason != apierror.ReasonForbidden) {
		return false
	}
	if denied != nil {
		why := *denied
		why.Message = "the stream has ended: " + denied.Message
		o.end(&streamEndedError{&why})
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.id, o.sinceAuthn = id, authn
	if ask == o.ask {
		o.sinceAuthz = authz
	}
	return true
}

// questions are asked once each, however many streams they are about.
type questions struct {
	authn  *authentication
	authz  Authorizer
	tokens map[string]answer
	rights map[right]error
}

func (s *streams) questions() *questions {
	return &questions{authn: s.authn, authz: s.authz, tokens: map[string]answer{}, rights: map[right]error{}}
}

type answer struct {
	id  *Identity
	err error
}

type right struct {
	id *Identity
	a  Attributes
}

// ask returns who the caller is now, or why it may not go on.
func (q *questions) ask(ctx context.Context, who caller, ask *Attributes) (*Identity, error) {
	id, err := q.real(ctx, who)
	switch {
	case err != nil:
		return nil, err
	case id == nil || id.User != who.id.User:
		return nil, apierror.Unauthorized("what the caller was known by stands for somebody else now; sign in again")
	}
	if who.as != nil {
		if id, err = impersonated(ctx, q.authz, id, who.as); err != nil {
			return nil, err
		}
	}
	if ask == nil {
		return id, nil
	}
	r := right{id, *ask}
	err, ok := q.rights[r]
	if !ok {
		err = q.authz.Authorize(ctx, id, *ask)
		q.rights[r] = err
	}
	return id, err
}

// real returns who really calls, by what the caller was known by.
func (q *questions) real(ctx context.Context, who caller) (*Identity, error) {
	switch {
	case who.token != "":
		known, ok := q.tokens[who.token]
		if !ok {
			known.id, known.err = q.authn.authn.Authenticate(ctx, who.token)
			q.tokens[who.token] = known
		}
		return known.id, known.err
	case who.certificates != nil:
		return q.authn.clients.Client(who.certificates, q.authn.now()) //nolint:wrapcheck // an error of ours
	}
	return who.id, nil
}
