// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store"
)

// logServer reads what steps print.
type logServer struct {
	buildv1.UnimplementedLogServiceServer

	kind  kinds.Kind
	store *store.Store
	kube  *kube.Client
}

// Read streams the log of a build, step after step.
func (l *logServer) Read(req *buildv1.LogServiceReadRequest, stream grpc.ServerStreamingServer[buildv1.LogServiceReadResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	key := store.Key{Namespace: req.GetNamespace(), Name: req.GetName()}
	build, err := store.For[*buildv1.Build](l.store, l.kind).Get(ctx, key)
	if err != nil {
		return err //nolint:wrapcheck // a user's error
	}
	steps, err := logSteps(build, req.GetStep())
	if err != nil {
		return err
	}
	w, err := l.watch(ctx, build)
	if err != nil {
		return err
	}
	defer w.close()
	sent := false
	for _, step := range steps {
		there, err := w.await(ctx, pod.ContainerOf(step), req.GetFollow())
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		source := containerLog{
			pods: l.kube.Clientset().CoreV1().Pods(w.namespace), pod: w.name, container: pod.ContainerOf(step), follow: req.GetFollow(),
		}
		err = source.copy(ctx, w, func(data []byte) error {
			sent = true
			return stream.Send(&buildv1.LogServiceReadResponse{Step: step, Data: data})
		})
		if err != nil {
			return err
		}
	}
	if req.GetFollow() {
		return w.awaitEnd(ctx)
	}
	if !sent && isDone(build) && w.current() == nil {
		return &apierror.Error{
			Reason: apierror.ReasonNotFound, Resource: store.ResourceOf(l.kind), Name: key.Name,
			Message: fmt.Sprintf("the log of build %q went with its pod, which was deleted", key.Name),
		}
	}
	return nil
}

// logSteps are the steps whose logs are wanted.
func logSteps(b *buildv1.Build, only string) ([]string, error) {
	names := stepNames(b)
	if b.GetSpec().GetSource().GetGit() != nil {
		names = append([]string{pod.SourceStep}, names...)
	}
	if only == "" {
		return names, nil
	}
	if !slices.Contains(names, only) {
		return nil, apierror.BadRequest("build %q has no step %q; it has %s", b.GetMetadata().GetName(), only, strings.Join(names, ", "))
	}
	return []string{only}, nil
}

// buildWatch follows a build and its pod.
type buildWatch struct {
	build        *buildv1.Build
	namespace    string
	name         string
	uid          string
	informer     cache.SharedIndexInformer
	registration cache.ResourceEventHandlerRegistration
	builds       *store.WatcherOf[*buildv1.Build]
	changed      chan struct{}
}

func (l *logServer) watch(ctx context.Context, b *buildv1.Build) (*buildWatch, error) {
	w := &buildWatch{
		build: b, namespace: b.GetMetadata().GetNamespace(), name: podName(b.GetMetadata()), uid: b.GetMetadata().GetUid(),
		changed: make(chan struct{}, 1),
	}
	var err error
	if w.informer, err = l.kube.Informer(kube.Pods); err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	w.builds, err = store.For[*buildv1.Build](l.store, l.kind).Watch(ctx, store.WatchOptions{
		Namespace:     w.namespace,
		FieldSelector: fields.OneTermEqualSelector("metadata.name", b.GetMetadata().GetName()),
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // a user's error
	}
	notify := func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		if p, ok := obj.(*corev1.Pod); ok && p.Namespace == w.namespace && p.Name == w.name {
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}
	w.registration, err = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: notify, UpdateFunc: func(_, obj any) { notify(obj) }, DeleteFunc: notify,
	})
	if err != nil {
		w.builds.Stop()
		return nil, fmt.Errorf("logs: %w", err)
	}
	return w, nil
}

func (w *buildWatch) close() {
	_ = w.informer.RemoveEventHandler(w.registration)
	w.builds.Stop()
}

// current is the pod as far as the informer knows it; nil when it is not there.
func (w *buildWatch) current() *corev1.Pod {
	obj, exists, err := w.informer.GetIndexer().GetByKey(w.namespace + "/" + w.name)
	if err != nil || !exists {
		return nil
	}
	p, _ := obj.(*corev1.Pod)
	return p
}

// next waits for a change of the build or its pod. It returns false when the build is gone.
func (w *buildWatch) next(ctx context.Context) (bool, error) {
	select {
	case <-w.changed:
		return true, nil
	case e, ok := <-w.builds.Events():
		if !ok {
			if ctx.Err() != nil {
				return false, ctx.Err() //nolint:wrapcheck // the caller's own
			}
			return false, w.builds.Err() //nolint:wrapcheck // a user's error
		}
		if e.Type == store.Deleted || e.Object.GetMetadata().GetUid() != w.uid {
			return e.Type == store.Bookmark, nil
		}
		if e.Type != store.Bookmark {
			w.build = e.Object
		}
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err() //nolint:wrapcheck // the caller's own
	}
}

// await waits, if it may, until a container has something to say. It returns false when it never will.
func (w *buildWatch) await(ctx context.Context, container string, follow bool) (bool, error) {
	for {
		if state := containerState(w.current(), container); state.Running != nil || state.Terminated != nil {
			return true, nil
		}
		if !follow || isDone(w.build) {
			return false, nil
		}
		if goOn, err := w.next(ctx); err != nil || !goOn {
			return false, err
		}
	}
}

// awaitEnd waits until the build has ended or is gone.
func (w *buildWatch) awaitEnd(ctx context.Context) error {
	for !isDone(w.build) {
		if goOn, err := w.next(ctx); err != nil || !goOn {
			return err
		}
	}
	return nil
}

func containerState(p *corev1.Pod, container string) corev1.ContainerState {
	if p != nil {
		for _, c := range p.Status.ContainerStatuses {
			if c.Name == container {
				return c.State
			}
		}
	}
	return corev1.ContainerState{}
}

// notYet tells whether Kubernetes has no log of a container, for now or for ever.
func notYet(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) }
