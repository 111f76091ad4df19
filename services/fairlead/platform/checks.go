// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"time"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// kubernetesEvery is how often it is looked whether the Kubernetes answers.
const kubernetesEvery = 5 * time.Second

// checks tell whether the platform bears.
func (b *Platform) checks() []process.Check {
	return []process.Check{
		{Name: "etcd", Probe: b.etcdAnswers},
		{Name: "caches", Probe: b.synced},
		{Name: "keys", Probe: b.verify.Ready},
		// The API works without: what is there goes on being served. That nothing moves in the cluster is said.
		{Name: "kubernetes", Probe: b.kubernetes, Degrades: true, Every: kubernetesEvery},
		{Name: "lease", Probe: b.leased, Degrades: true},
	}
}

// etcdAnswers tells whether etcd answers, with a majority behind it.
func (b *Platform) etcdAnswers(ctx context.Context) error {
	if err := b.store.Ready(ctx); err != nil {
		return apierror.Unavailable(time.Second, "etcd does not answer: it is out of reach, or has no majority").Wrap(err)
	}
	return nil
}

// synced tells which cache has not been filled since the start.
func (b *Platform) synced(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	for _, k := range b.Kinds() {
		if err := b.store.Cache(k).WaitSynced(ctx); err != nil {
			return apierror.Unavailable(time.Second, "%s are still being read from etcd", store.ResourceOf(k)).Wrap(err)
		}
	}
	return nil
}

func (b *Platform) kubernetes(ctx context.Context) error {
	_, err := b.kube.Clientset().Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	if err != nil {
		return apierror.Unavailable(kubernetesEvery, "the Kubernetes behind does not answer, or says that it is not ready").Wrap(err)
	}
	return nil
}

func (b *Platform) leased(context.Context) error {
	for _, p := range b.lease.Peers() {
		if p.ID == b.lease.ID() {
			return nil
		}
	}
	return apierror.Unavailable(time.Second, "etcd has given no lease; controllers wait for one")
}
