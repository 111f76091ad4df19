// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"fairlead.dev/services/internal/kube"
)

const (
	// currentKey is the entry of the Secret that names the key by which new tokens are signed.
	currentKey = "current"
	// keySuffix ends the entries that hold keys; what stands before it is the key's id.
	keySuffix = ".pem"
	pemType   = "PRIVATE KEY"
)

// keySet is what the Secret holds: the keys that tokens may be signed by, and the one by which new ones are.
type keySet struct {
	current string
	keys    map[string]ed25519.PrivateKey
}

// keyring keeps the signing keys of the Secret at hand. To rotate them, one adds a key to the Secret and makes it
// current, and removes the old one when the last of its tokens has expired. Removing a key makes its tokens worthless at
// once.
type keyring struct {
	cluster Cluster
	secret  string
	log     *slog.Logger

	mu  sync.Mutex
	set *keySet // nil until read, and when the Secret is deleted
}

func newKeyring(c Cluster, secret string, log *slog.Logger) *keyring {
	return &keyring{cluster: c, secret: secret, log: log}
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
	data, err := newKeyData()
	if err != nil {
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
	factory := informers.NewSharedInformerFactoryWithOptions(k.cluster.Clientset(), 0,
		informers.WithNamespace(k.cluster.SystemNamespace()),
		informers.WithTweakListOptions(func(o *kmetav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", k.secret).String()
		}))
	informer := factory.Core().V1().Secrets().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    k.take,
		UpdateFunc: func(_, obj any) { k.take(obj) },
		DeleteFunc: func(any) { k.drop() },
	})
	if err != nil {
		k.log.ErrorContext(ctx, "auth: signing keys are not followed: new ones need a restart", "error", err)
		return
	}
	factory.StartWithContext(ctx)
	<-ctx.Done()
	factory.Shutdown()
}

// take takes the keys of a Secret. Broken ones leave those that are in use.
func (k *keyring) take(obj any) {
	secret, ok := obj.(*corev1.Secret)
	if !ok || secret.Name != k.secret {
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
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set = set
}

// drop forgets the keys: the Secret is gone, and its tokens are worthless.
func (k *keyring) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set = nil
}

// parseKeys reads the entries of the Secret. No error repeats any part of a key.
func parseKeys(data map[string][]byte) (*keySet, error) {
	set := &keySet{current: string(data[currentKey]), keys: map[string]ed25519.PrivateKey{}}
	for entry, value := range data {
		id, ok := strings.CutSuffix(entry, keySuffix)
		if !ok {
			continue
		}
		block, _ := pem.Decode(value)
		if block == nil || block.Type != pemType {
			return nil, fmt.Errorf("entry %s holds no PEM block of type %s", entry, pemType)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("entry %s holds no PKCS #8 key", entry)
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("entry %s holds no Ed25519 key", entry)
		}
		set.keys[id] = key
	}
	if _, ok := set.keys[set.current]; !ok {
		return nil, errors.New("the entry that `current` names is missing")
	}
	return set, nil
}

// newKeyData makes the entries of a Secret with one new key, whose id derives from it.
func newKeyData() (map[string][]byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	sum := sha256.Sum256(public)
	id := hex.EncodeToString(sum[:8])
	return map[string][]byte{
		currentKey:     []byte(id),
		id + keySuffix: pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}),
	}, nil
}
