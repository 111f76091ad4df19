// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/build/account"
	"fairlead.dev/services/build/entrypoint"
	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Idle connections that clients of the cluster and of registries share for the life of the process.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"))
}

// errCrash is what a crash is thrown as: the process is gone, before or after what it was about to do.
var errCrash = errors.New("crash")

// world is a cluster of one pod at most, that can kill the reconciler at any call.
type world struct {
	pod     *corev1.Pod
	created int
	log     []string
	now     time.Time

	calls, crashAt int
	afterwards     bool

	account    account.Account
	createErr  error
	accountErr error
	imageErr   error
	// run moves the pod on, as a kubelet would.
	run func(w *world)
}

func (w *world) call(what string, effect func()) {
	w.calls++
	if w.calls == w.crashAt && !w.afterwards {
		panic(errCrash)
	}
	effect()
	w.log = append(w.log, what)
	if w.calls == w.crashAt && w.afterwards {
		panic(errCrash)
	}
}

func (w *world) Find(owner kube.Owner) (*corev1.Pod, error) {
	if w.pod == nil || w.pod.Labels[kube.LabelOwnerUID] != owner.UID {
		return nil, nil //nolint:nilnil // as the interface says: no pod is no error
	}
	return w.pod, nil
}

func (w *world) Create(_ context.Context, owner kube.Owner, p *corev1.Pod) error {
	if w.createErr != nil {
		return w.createErr
	}
	w.call("create", func() {
		if w.pod != nil && w.pod.Name == p.Name {
			return
		}
		w.created++
		w.pod = p.DeepCopy()
		w.pod.Labels[kube.LabelOwnerUID] = owner.UID
		w.pod.UID = types.UID(fmt.Sprint(w.created))
	})
	return nil
}

func (w *world) Delete(context.Context, *corev1.Pod) error {
	w.call("delete", func() { w.pod = nil })
	return nil
}

func (w *world) Stop(context.Context, *corev1.Pod) error {
	w.call("stop", func() {
		one := int64(1)
		w.pod.Spec.ActiveDeadlineSeconds = &one
	})
	return nil
}

func (w *world) Prune(_ context.Context, owner kube.Owner) error {
	if w.pod != nil && w.pod.Labels[kube.LabelOwnerUID] != owner.UID {
		w.call("prune", func() { w.pod = nil })
	}
	return nil
}

func (w *world) Account(context.Context, string, string) (account.Account, error) {
	w.call("account", func() {})
	return w.account, w.accountErr
}

func (w *world) Event(_ kube.Owner, _, reason, _ string) { w.call("event "+reason, func() {}) }

func (w *world) Resolve(_ context.Context, image string, _ authn.Keychain) (pod.Entrypoint, error) {
	w.call("resolve", func() {})
	return pod.Entrypoint{Image: image + "@sha256:1", Platforms: map[string]pod.Command{"linux/amd64": {Entrypoint: []string{"/run"}}}}, w.imageErr
}

// status sets the states of the steps' containers.
func (w *world) status(states ...corev1.ContainerState) {
	w.pod.Status.ContainerStatuses = nil
	for i, s := range states {
		w.pod.Status.ContainerStatuses = append(w.pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: w.pod.Spec.Containers[i].Name, State: s})
	}
}

func up() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: kmetav1.NewTime(time.Unix(1, 0))}}
}

func end(code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: kmetav1.NewTime(time.Unix(1, 0)), FinishedAt: kmetav1.NewTime(time.Unix(2, 0))}}
}

type fixture struct {
	t      *testing.T
	store  *store.Store
	builds store.Client[*buildv1.Build]
	// unread are the same builds, with a cache that has not been read yet.
	unread store.Client[*buildv1.Build]
	kind   kinds.Kind
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	kind, ok := kinds.ByMessage((&buildv1.Build{}).ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatal("Build is not a kind")
	}
	client := etcdtest.Start(t)
	s, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	other, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, unread: store.For[*buildv1.Build](other, kind), store: s, kind: kind, builds: store.For[*buildv1.Build](s, kind)}
}

func (f *fixture) reconciler(w *world) *reconciler {
	f.t.Helper()
	cfg := DefaultConfig()
	cfg.StepImage = "step"
	m, err := newMetrics(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return &reconciler{cfg: cfg, kind: f.kind, builds: f.builds, pods: w, accounts: w, events: w, images: w, metrics: m, now: func() time.Time { return w.now }}
}

// drive reconciles a build until it and its pod are at rest, with a new reconciler after each crash.
func (f *fixture) drive(w *world, key store.Key) *buildv1.Build {
	f.t.Helper()
	r := f.reconciler(w)
	rest := 0
	for range 60 {
		b, err := f.builds.Get(f.t.Context(), key)
		if err != nil {
			f.t.Fatal(err)
		}
		if err := f.store.Cache(f.kind).WaitVersion(f.t.Context(), b.GetMetadata().GetResourceVersion()); err != nil {
			f.t.Fatal(err)
		}
		if f.once(w, r, key) {
			r = f.reconciler(w)
		}
		if isDone(b) {
			if rest++; rest == 3 {
				return b
			}
			continue
		}
		if w.run != nil {
			w.run(w)
		}
	}
	f.t.Fatalf("the build does not end; what was done: %v", w.log)
	return nil
}

// once reconciles once, and tells whether it crashed.
func (f *fixture) once(_ *world, r *reconciler, key store.Key) (crashed bool) {
	defer func() {
		if thrown := recover(); thrown != nil {
			if thrown != errCrash { //nolint:errorlint // thrown by world
				panic(thrown)
			}
			crashed = true
		}
	}()
	if _, err := r.Reconcile(f.t.Context(), key); err != nil {
		f.t.Fatal(err)
	}
	return false
}

func (f *fixture) create(name string, change func(*buildv1.BuildSpec)) store.Key {
	f.t.Helper()
	spec := &buildv1.BuildSpec{Timeout: "10m", Steps: []*corepb.Container{
		{Name: "one", Image: "a", Command: []string{"a"}}, {Name: "two", Image: "a"},
	}}
	if change != nil {
		change(spec)
	}
	b, err := f.builds.Create(f.t.Context(), &buildv1.Build{Metadata: &metav1.ObjectMeta{Name: name, Namespace: "shop"}, Spec: spec})
	if err != nil {
		f.t.Fatal(err)
	}
	return store.KeyOf(b)
}

// kubelet runs the pod to an end in a few moves.
func kubelet(last corev1.ContainerState) func(*world) {
	move := 0
	return func(w *world) {
		w.now = w.now.Add(time.Second)
		if w.pod == nil {
			return
		}
		switch move++; move {
		case 1:
			w.status(up(), up())
		case 2:
			w.status(end(0), up())
		case 3:
			w.status(end(0), last)
			w.pod.Status.Phase = corev1.PodSucceeded
		}
	}
}

func TestCrashesAnywhere(t *testing.T) {
	f := newFixture(t)
	stories := []struct {
		name   string
		spec   func(*buildv1.BuildSpec)
		run    func() func(*world)
		reason string
		steps  []string
		pod    bool
	}{
		{"succeeds", nil, func() func(*world) { return kubelet(end(0)) }, reasonSucceeded, []string{"one", "two"}, true},
		{"fails", nil, func() func(*world) { return kubelet(end(3)) }, reasonStepFailed, []string{"one"}, true},
		{"cancelled", func(s *buildv1.BuildSpec) { s.Status = statusCancelled }, func() func(*world) { return kubelet(end(0)) }, reasonCancelled, nil, false},
		{"late", nil, func() func(*world) {
			return func(w *world) {
				if w.pod != nil {
					w.status(up(), up())
					w.now = w.now.Add(6 * time.Minute)
				}
			}
		}, reasonTimeout, nil, true},
		{"unpullable", nil, func() func(*world) {
			return func(w *world) {
				w.now = w.now.Add(20 * time.Second)
				if w.pod != nil {
					w.status(up(), corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}})
				}
			}
		}, reasonImagePullFailed, nil, true},
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			f := *f
			f.t = t
			for crash, crashed := 0, true; crashed; crash++ {
				for _, afterwards := range []bool{false, true} {
					w := &world{now: time.Unix(1_700_000_000, 0), crashAt: crash, afterwards: afterwards, run: s.run()}
					key := f.create(fmt.Sprintf("%s-%d-%t", s.name, crash, afterwards), s.spec)
					b := f.drive(w, key)
					crashed = crash == 0 || w.calls >= crash
					if got := succeeded(b).GetReason(); got != s.reason {
						t.Errorf("crash %d: reason %s, want %s; %v", crash, got, s.reason, w.log)
					}
					if diff := cmp.Diff(s.steps, b.GetStatus().GetStepsCompleted()); diff != "" {
						t.Errorf("crash %d: completed steps (-want +got):\n%s", crash, diff)
					}
					if w.created > 1 || s.pod != (w.pod != nil) {
						t.Errorf("crash %d: %d pods were made, one is left: %t, want %t; %v", crash, w.created, w.pod != nil, s.pod, w.log)
					}
					if s.reason == reasonTimeout && *w.pod.Spec.ActiveDeadlineSeconds != 1 {
						t.Errorf("crash %d: the pod runs on", crash)
					}
				}
			}
		})
	}
}

func TestObstacles(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name           string
		world          func(*world)
		mend           func(*world)
		reason, says   string
		waitsWith      string
		pending, ended time.Duration
	}{
		{
			name: "account", world: func(w *world) { w.accountErr = podErrorf(errNoAccount, `there is no service account "x"`) },
			reason: reasonPodCreationFailed, says: `there is no service account "x"`, pending: 5 * time.Second, ended: 20 * time.Second,
		},
		{
			name: "quota", world: func(w *world) { w.createErr = podErrorf(errQuota, "exceeded quota: pods") },
			mend: func(w *world) { w.createErr = nil }, pending: time.Minute, reason: reasonPending, waitsWith: reasonQuotaExceeded,
		},
		{
			name: "refused", world: func(w *world) { w.createErr = podErrorf(errRefused, "no such priority class") },
			reason: reasonPodCreationFailed, says: "no such priority class",
		},
		{
			name: "image", world: func(w *world) { w.imageErr = &entrypoint.Error{Message: `image "a" not found`} },
			reason: reasonImagePullFailed, says: `step "two": image "a" not found`,
		},
		{
			name: "registry", world: func(w *world) { w.imageErr = &entrypoint.Error{Message: "no answer", Temporary: true} },
			reason: reasonImagePullFailed, says: `step "two": no answer`, pending: 30 * time.Second, ended: 61 * time.Second,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := *f
			f.t = t
			w := &world{now: time.Unix(1_700_000_000, 0)}
			c.world(w)
			key, r, began := f.create(c.name, nil), f.reconciler(w), w.now
			look := func(after time.Duration) *buildv1.Build {
				w.now = began.Add(after)
				for range 2 {
					b, err := f.builds.Get(t.Context(), key)
					if err != nil {
						t.Fatal(err)
					}
					if err := f.store.Cache(f.kind).WaitVersion(t.Context(), b.GetMetadata().GetResourceVersion()); err != nil {
						t.Fatal(err)
					}
					f.once(w, r, key)
				}
				b, err := f.builds.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			b := look(0)
			if c.pending > 0 {
				if b = look(c.pending); isDone(b) {
					t.Fatalf("the build has given up after %s: %v", c.pending, succeeded(b))
				}
				if c.waitsWith != "" && succeeded(b).GetReason() != c.waitsWith {
					t.Errorf("waits with %v, want %s", succeeded(b), c.waitsWith)
				}
				if c.mend != nil {
					c.mend(w)
				}
				b = look(max(c.ended, c.pending))
			}
			if got := succeeded(b); got.GetReason() != c.reason || !strings.Contains(got.GetMessage(), c.says) {
				t.Errorf("condition %v, want %s: … %s …", got, c.reason, c.says)
			}
		})
	}
}

// TestPrunesWhatIsGone has a cache that knows nothing, as one that lags.
func TestPrunesWhatIsGone(t *testing.T) {
	f := newFixture(t)
	left := &corev1.Pod{ObjectMeta: kmetav1.ObjectMeta{Labels: map[string]string{kube.LabelOwnerUID: "uid"}}}
	for _, c := range []struct {
		reason string
		key    store.Key
		kept   bool
	}{
		{"a build that the cache does not know yet keeps its pod", f.create("there", nil), true},
		{"the pod of a build that is gone goes", store.Key{Namespace: "shop", Name: "gone"}, false},
	} {
		w := &world{now: time.Unix(1_700_000_000, 0), pod: left}
		r := f.reconciler(w)
		r.builds = f.unread
		if _, err := r.Reconcile(t.Context(), c.key); err != nil {
			t.Fatal(err)
		}
		if kept := w.pod != nil; kept != c.kept {
			t.Errorf("%s: kept: %t; %v", c.reason, kept, w.log)
		}
	}
	w := &world{pod: left}
	r := f.reconciler(w)
	r.builds = f.unread
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Reconcile(ctx, store.Key{Namespace: "shop", Name: "gone"}); err == nil || w.pod == nil {
		t.Errorf("with a store that does not answer: %v, %v", err, w.log)
	}
}

func TestPodGoes(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name    string
		ran     bool
		reason  string
		created int
	}{
		{"before it ran", false, reasonPending, 2},
		{"while it ran", true, reasonPodLost, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := *f
			f.t = t
			w := &world{now: time.Unix(1_700_000_000, 0)}
			key, r := f.create(strings.ReplaceAll(c.name, " ", "-"), nil), f.reconciler(w)
			look := func() {
				b, err := f.builds.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.store.Cache(f.kind).WaitVersion(t.Context(), b.GetMetadata().GetResourceVersion()); err != nil {
					t.Fatal(err)
				}
				f.once(w, r, key)
			}
			look()
			look()
			if c.ran {
				w.status(up(), up())
				look()
			}
			w.pod = nil
			look()
			b, err := f.builds.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if got := succeeded(b).GetReason(); got != c.reason || w.created != c.created {
				t.Errorf("reason %s and %d pods, want %s and %d", got, w.created, c.reason, c.created)
			}
		})
	}
}
