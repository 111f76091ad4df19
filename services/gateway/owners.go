// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// Who answers for groups of ours that the cluster has CRDs of: Config.OwnGroups.
const (
	// OwnGroupsUndecided refuses requests to such groups.
	OwnGroupsUndecided = ""
	// OwnGroupsFairlead has Fairlead answer; the cluster's objects are hidden.
	OwnGroupsFairlead = "fairlead"
	// OwnGroupsCluster hands requests on to the cluster; Fairlead's objects are seen over gRPC only.
	OwnGroupsCluster = "cluster"
)

// firstLook is how long the gateway waits at its start to learn which CRDs there are.
const firstLook = 3 * time.Second

// groupOwners knows of which groups of ours the cluster has CRDs, such as those of Knative. It watches them with the gateway's own
// rights.
type groupOwners struct {
	wins     string
	all      []kinds.Kind
	groups   map[string]bool
	log      *slog.Logger
	informer cache.SharedIndexInformer

	mu sync.RWMutex
	// crds are the names of those CRDs, sorted, by group.
	crds map[string][]string
}

func newGroupOwners(wins string, served []kinds.Kind, cluster *rest.Config, log *slog.Logger) (*groupOwners, error) {
	o := &groupOwners{wins: wins, all: served, groups: map[string]bool{}, log: log, crds: map[string][]string{}}
	for _, k := range served {
		o.groups[k.Group] = true
	}
	if cluster == nil {
		return o, nil
	}
	client, err := metadata.NewForConfig(cluster)
	if err != nil {
		return nil, fmt.Errorf("gateway: client of the cluster's CRDs: %w", err)
	}
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	o.informer = metadatainformer.NewFilteredMetadataInformer(client, crds, kmetav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()
	if err := o.informer.SetTransform(nameOnly); err != nil {
		return nil, fmt.Errorf("gateway: informer of CRDs: %w", err)
	}
	if err := o.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		log.DebugContext(ctx, "the cluster's CRDs cannot be watched; what is known of them stays", "error", err)
	}); err != nil {
		return nil, fmt.Errorf("gateway: informer of CRDs: %w", err)
	}
	changed := func(any) { o.look() }
	if _, err := o.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: changed, DeleteFunc: changed}); err != nil {
		return nil, fmt.Errorf("gateway: informer of CRDs: %w", err)
	}
	return o, nil
}

// nameOnly keeps of a CRD what is looked at.
func nameOnly(obj any) (any, error) {
	if m, ok := obj.(*kmetav1.PartialObjectMetadata); ok {
		return &kmetav1.PartialObjectMetadata{TypeMeta: m.TypeMeta, ObjectMeta: kmetav1.ObjectMeta{Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion}}, nil
	}
	return obj, nil
}

// run watches until ctx ends. known is closed once it is known which CRDs there are.
func (o *groupOwners) run(ctx context.Context, known chan<- struct{}) {
	if o.informer == nil {
		close(known)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.informer.RunWithContext(ctx)
	}()
	if cache.WaitForCacheSync(ctx.Done(), o.informer.HasSynced) {
		o.look()
		close(known)
	}
	<-done
}

// look notes which CRDs are of groups of ours, and says so when that changes.
func (o *groupOwners) look() {
	found := map[string][]string{}
	for _, name := range o.informer.GetStore().ListKeys() {
		if _, group, _ := strings.Cut(name, "."); o.groups[group] {
			found[group] = append(found[group], name)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for group, names := range found {
		slices.Sort(names)
		if slices.Equal(names, o.crds[group]) {
			continue
		}
		switch o.wins {
		case OwnGroupsUndecided:
			o.log.Warn("the cluster has CRDs of a group of ours: REST requests to the group are refused until --own-groups says who answers", "group", group, "crds", names)
		default:
			o.log.Info("the cluster has CRDs of a group of ours", "group", group, "crds", names, "answers", o.wins)
		}
	}
	o.crds = found
}

// groupOf is the API group that a path is in.
func groupOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/apis/")
	if !ok {
		return ""
	}
	group, _, _ := strings.Cut(rest, "/")
	return group
}

// clusters tells whether the cluster answers for a group of ours.
func (o *groupOwners) clusters(group string) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.wins == OwnGroupsCluster && len(o.crds[group]) > 0
}

// check refuses a group of which nobody has said who answers for it.
func (o *groupOwners) check(group string) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	names := o.crds[group]
	if o.wins != OwnGroupsUndecided || len(names) == 0 {
		return nil
	}
	return apierror.New(apierror.ReasonServiceUnavailable, "both Fairlead and the cluster behind have the group %s (the cluster by the CRDs %s): "+
		"start the gateway with --own-groups=fairlead or --own-groups=cluster to say who answers", group, strings.Join(names, ", "))
}

// disputed tells whether there is any such group.
func (o *groupOwners) disputed() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.wins == OwnGroupsUndecided && len(o.crds) > 0
}

// kinds are those that Fairlead answers for.
func (o *groupOwners) kinds() []kinds.Kind {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.wins != OwnGroupsCluster || len(o.crds) == 0 {
		return o.all
	}
	return slices.DeleteFunc(slices.Clone(o.all), func(k kinds.Kind) bool { return len(o.crds[k.Group]) > 0 })
}

// state names what kinds depends on.
func (o *groupOwners) state() string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.wins != OwnGroupsCluster {
		return ""
	}
	return strings.Join(slices.Sorted(maps.Keys(o.crds)), ",")
}
