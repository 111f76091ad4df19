// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/internal/kube"
)

// keyring keeps the signing keys of the Secret at hand. Removing a key from the Secret makes its tokens worthless at once.
type keyring struct {
	cluster Cluster
	secret  string
	cfg     Config
	log     *slog.Logger
	signal  *signal
	now     func() time.Time

	mu  sync.Mutex
	set *keySet // nil until read, and when the Secret is deleted
}

func newKeyring(c Cluster, cfg Config, log *slog.Logger, changed *signal) *keyring {
	return &keyring{cluster: c, secret: cfg.KeySecret, cfg: cfg, log: log, signal: changed, now: time.Now}
}

// get returns the keys, and makes the Secret if there is none.
func (k *keyring) get(ctx context.Context) (*keySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set != nil {
		return k.set, nil
	}
	secret, err := k.ensure(ctx)
	if err != nil {
		return nil, fmt.Errorf("auth: signing keys in Secret %s/%s: %w", k.cluster.SystemNamespace(), k.secret, err)
	}
	set, err := parseKeys(secret.Data)
	if err != nil {
		return nil, fmt.Errorf("auth: Secret %s/%s: %w", k.cluster.SystemNamespace(), k.secret, err)
	}
	k.set = set
	return set, nil
}

// ensure returns the Secret, made with a first key if it is absent. Of processes that make it at the same time, one wins.
func (k *keyring) ensure(ctx context.Context) (*corev1.Secret, error) {
	secrets := k.cluster.Clientset().CoreV1().Secrets(k.cluster.SystemNamespace())
	secret, err := k.own(secrets.Get(ctx, k.secret, kmetav1.GetOptions{}))
	if !apierrors.IsNotFound(err) {
		return secret, err
	}
	if err := k.ensureNamespace(ctx); err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	if _, err := addKey(data, k.now()); err != nil {
		return nil, err
	}
	made, err := secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: kmetav1.ObjectMeta{
			Name: k.secret, Namespace: k.cluster.SystemNamespace(),
			Labels: map[string]string{kube.LabelInstallation: k.cluster.Installation()},
		},
		Data: data,
	}, kmetav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return k.own(secrets.Get(ctx, k.secret, kmetav1.GetOptions{}))
	}
	return made, err
}

// own refuses the Secret of another installation, whose tokens would otherwise hold here.
func (k *keyring) own(secret *corev1.Secret, err error) (*corev1.Secret, error) {
	if err != nil {
		return nil, err
	}
	if of := secret.Labels[kube.LabelInstallation]; of != "" && of != k.cluster.Installation() {
		return nil, fmt.Errorf("it belongs to installation %q: give this one (%q) a system namespace of its own", of, k.cluster.Installation())
	}
	return secret, nil
}

func (k *keyring) ensureNamespace(ctx context.Context) error {
	namespaces := k.cluster.Clientset().CoreV1().Namespaces()
	name := k.cluster.SystemNamespace()
	if _, err := namespaces.Get(ctx, name, kmetav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return err
	}
	_, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{
		Name: name, Labels: map[string]string{kube.LabelInstallation: k.cluster.Installation()},
	}}, kmetav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// follow keeps the keys as the Secret has them, until ctx ends.
func (k *keyring) follow(ctx context.Context) {
	err := kube.FollowSecret(ctx, k.cluster.Clientset(), k.cluster.SystemNamespace(), k.secret, k.take)
	if err != nil {
		k.log.ErrorContext(ctx, "auth: signing keys are not followed: new ones need a restart", "error", err)
	}
}

// take takes the keys of a Secret. Broken ones leave those that are in use; where it is gone, its tokens are worthless.
func (k *keyring) take(secret *corev1.Secret) {
	if secret == nil {
		k.replace(nil)
		return
	}
	_, err := k.own(secret, nil)
	var set *keySet
	if err == nil {
		set, err = parseKeys(secret.Data)
	}
	if err != nil {
		k.log.Error("auth: the signing keys cannot be read; the old ones stay in use", "secret", secret.Namespace+"/"+secret.Name, "error", err)
		return
	}
	k.replace(set)
}

func (k *keyring) replace(set *keySet) {
	k.mu.Lock()
	k.set = set
	k.mu.Unlock()
	k.signal.raise()
}
