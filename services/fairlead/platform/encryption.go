// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store/encryption"
)

const (
	// encryptionSecret is the Secret of the system namespace with the keys by which objects are encrypted.
	encryptionSecret = "fairlead-encryption-keys"
	// secretTimeout is how long the Secret is waited for at the start.
	secretTimeout = 10 * time.Second
)

// openEncryption reads the keys from the file of --encryption-keys, or from the Secret where there is one. Without either,
// kinds that are encrypted at rest can be neither written nor read.
func (b *Platform) openEncryption(ctx context.Context) error {
	var err error
	if *b.encryptionKeys != "" {
		b.encryption, err = encryption.Load(encryption.File(*b.encryptionKeys))
		return err //nolint:wrapcheck // says it all
	}
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	secret, err := b.kube.Clientset().CoreV1().Secrets(*b.systemNamespace).Get(ctx, encryptionSecret, kmetav1.GetOptions{})
	switch {
	case err == nil:
		b.encryption, err = encryption.Load(encryption.Secret(secret.Data))
		return err //nolint:wrapcheck // says it all
	case apierrors.IsNotFound(err):
		return nil
	case slices.ContainsFunc(b.Kinds(), func(k kinds.Kind) bool { return k.Encrypted }):
		return fmt.Errorf("read the encryption keys from Secret %s/%s: %w", *b.systemNamespace, encryptionSecret, err)
	default: // nothing of ours would be encrypted: the start does not wait for the Kubernetes
		b.process.Log().WarnContext(ctx, "encryption keys are not known: the Secret cannot be read", "secret", *b.systemNamespace+"/"+encryptionSecret, "error", err)
		return nil
	}
}

// followEncryption puts keys in place as file or Secret change, until ctx ends. Broken ones leave those before.
func (b *Platform) followEncryption(ctx context.Context) error {
	switch {
	case b.encryption == nil:
		<-ctx.Done()
		return nil
	case *b.encryptionKeys != "":
		return process.FollowFiles(ctx, b.process.Log(), func() { b.reload(ctx, encryption.File(*b.encryptionKeys)) }, *b.encryptionKeys) //nolint:wrapcheck // names the file
	}
	return kube.FollowSecret(ctx, b.kube.Clientset(), *b.systemNamespace, encryptionSecret, func(secret *corev1.Secret) { //nolint:wrapcheck // says it all
		if secret != nil { // the keys of one that is gone stay in use: what they sealed is there
			b.reload(ctx, encryption.Secret(secret.Data))
		}
	})
}

func (b *Platform) reload(ctx context.Context, from encryption.Source) {
	if !replaceKeys(ctx, b.encryption, from, b.process.Log()) {
		return
	}
	select {
	case b.keysChanged <- struct{}{}:
	default: // it is to look already
	}
}

// replaceKeys puts the keys of from in place, and tells whether they are others.
func replaceKeys(ctx context.Context, keys *encryption.Keys, from encryption.Source, log *slog.Logger) bool {
	before := keys.String()
	if err := keys.Reload(from); err != nil {
		log.ErrorContext(ctx, "encryption keys stay as they are", "error", err)
		return false
	}
	now := keys.String()
	if now == before {
		return false
	}
	log.InfoContext(ctx, "other encryption keys are in place", "keys", now)
	return true
}
