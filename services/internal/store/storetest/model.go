// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"k8s.io/apimachinery/pkg/labels"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func modelTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){"WatchersRebuildTheState": testRebuild}
}

// testRebuild has several writers create, change and delete at random, while watchers, some of which stop and resume again
// and again, rebuild the state from events alone. In the end it must be what a list says.
func testRebuild(t *testing.T, s *store.Store) {
	watchers := map[string]struct {
		o      store.WatchOptions
		resume int // events after which the watcher stops and resumes
	}{
		"all":                     {store.WatchOptions{}, 1 << 30},
		"a label":                 {store.WatchOptions{LabelSelector: selector(t, "color=red")}, 1 << 30},
		"a label, with pauses":    {store.WatchOptions{LabelSelector: selector(t, "color=red")}, 9},
		"a namespace":             {store.WatchOptions{Namespace: "a"}, 1 << 30},
		"all, with pauses":        {store.WatchOptions{}, 5},
		"not a label, with pause": {store.WatchOptions{Namespace: "b", LabelSelector: selector(t, "color!=red")}, 30},
	}
	const last = "last"
	var wg sync.WaitGroup
	states := make(chan map[string]map[string]store.Object, len(watchers))
	for name, tc := range watchers {
		w := startWatch(t, s, tc.o)
		wg.Go(func() {
			state, err := rebuild(t, s, w, tc.o, tc.resume, last)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			states <- map[string]map[string]store.Object{name: state}
		})
	}
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			if err := scribble(t, s, rand.New(rand.NewPCG(uint64(i), 7))); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	for _, namespace := range []string{"a", "b"} {
		for _, color := range []string{"red", "blue"} {
			must[*servingv1.Service](t)(services(t, s).Create(t.Context(), Service(namespace, last+"-"+color, "color="+color)))
		}
	}
	wg.Wait()
	close(states)
	for found := range states {
		for name, state := range found {
			o := watchers[name].o
			want := map[string]store.Object{}
			for _, obj := range list(t, s, store.ListOptions{Namespace: o.Namespace, LabelSelector: o.LabelSelector}).Items {
				want[store.KeyOf(obj).String()] = obj
			}
			if d := cmp.Diff(want, state, protocmp.Transform()); d != "" {
				t.Errorf("%s (-list +rebuilt):\n%s", name, d)
			}
		}
	}
}

// scribble writes at random.
func scribble(t *testing.T, s *store.Store, r *rand.Rand) error {
	t.Helper()
	for i := range 100 {
		key := store.Key{Namespace: string("ab"[r.IntN(2)]), Name: strconv.Itoa(r.IntN(8))}
		color := "color=" + []string{"red", "blue"}[r.IntN(2)]
		var err error
		switch r.IntN(4) {
		case 0:
			_, err = services(t, s).Delete(t.Context(), key, store.DeleteOptions{})
		case 1:
			_, err = services(t, s).Create(t.Context(), Service(key.Namespace, key.Name, color))
		default:
			_, err = services(t, s).Update(t.Context(), key, "", func(*servingv1.Service) (*servingv1.Service, error) {
				return Service(key.Namespace, key.Name, color, fmt.Sprintf("n=%d", i)), nil
			})
		}
		if err != nil && !apierror.IsNotFound(err) && !apierror.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// rebuild follows a watch, which it stops and resumes after so many events, until it has seen all of the last objects that
// it can see, and returns the state. It fails on events that do not fit the state.
func rebuild(t *testing.T, s *store.Store, w *store.WatcherOf[*servingv1.Service], o store.WatchOptions, resume int, last string,
) (map[string]store.Object, error) {
	t.Helper()
	state := map[string]store.Object{}
	ends := 0
	want := endsSeen(o)
	for n := 1; ends < want; n++ {
		ev, ok := <-w.Events()
		if !ok {
			return state, fmt.Errorf("the watch ended: %w", w.Err())
		}
		key := store.KeyOf(ev.Object).String()
		if _, known := state[key]; known == (ev.Type == store.Added) {
			return state, fmt.Errorf("%s, but known: %t", show(ev), known)
		}
		state[key] = ev.Object
		if ev.Type == store.Deleted {
			delete(state, key)
		}
		if len(ev.Object.GetMetadata().GetName()) > len(last) {
			ends++
		}
		if n%resume == 0 {
			w.Stop()
			o.ResourceVersion = ev.Object.GetMetadata().GetResourceVersion()
			next, err := services(t, s).Watch(t.Context(), o)
			if err != nil {
				return state, err
			}
			w = next
		}
	}
	w.Stop()
	return state, nil
}

// endsSeen is how many of the last objects a watch with these options sees.
func endsSeen(o store.WatchOptions) int {
	n := 0
	for _, namespace := range []string{"a", "b"} {
		for _, color := range []string{"red", "blue"} {
			inside := o.Namespace == "" || o.Namespace == namespace
			if inside && (o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set{"color": color})) {
				n++
			}
		}
	}
	return n
}
