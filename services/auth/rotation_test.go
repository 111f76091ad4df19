// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
)

// ids are the ids of the keys that everyone is told of.
func (p *process) ids(t *testing.T) []string {
	t.Helper()
	keys, err := p.tokens.Keys(t.Context(), &authv1.KeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range keys.GetKeys() {
		if k.GetAlgorithm() != "EdDSA" || len(k.GetEd25519()) != 32 {
			t.Errorf("got %v", k)
		}
		out = append(out, k.GetId())
	}
	return out
}

func TestKeysAreKnownBeforeTheySign(t *testing.T) {
	i := install(t)
	one, two := i.start(t), i.start(t)
	before := one.as(t, "ada")
	first := one.ids(t)
	made, err := one.tokens.RotateKeys(one.admin(t), &authv1.RotateKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	from := made.GetSignsFrom().AsTime()
	if wait := time.Until(from); wait <= 0 || slices.Contains(first, made.GetKeyId()) {
		t.Errorf("the new key %s signs from %s", made.GetKeyId(), from)
	}
	again, err := one.tokens.RotateKeys(one.admin(t), &authv1.RotateKeysRequest{})
	if err != nil || again.GetKeyId() != made.GetKeyId() {
		t.Errorf("a second command made another key before the first one signs: %v, %v", again, err)
	}
	soon(t, func() bool { return len(two.ids(t)) == 2 })
	set, err := one.auth.keys.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := set.signer(from.Add(-time.Second)).id; got != first[0] {
		t.Errorf("before its time %s signs", got)
	}
	if got := set.signer(from).id; got != made.GetKeyId() {
		t.Errorf("at its time %s signs", got)
	}
	if got := set.signer(time.Time{}).id; got != first[0] {
		t.Errorf("on a clock that is far behind %s signs", got)
	}
	one.auth.tokens.now = func() time.Time { return from }
	after := one.as(t, "ada")
	if _, err := two.tokens.WhoAmI(before, &authv1.WhoAmIRequest{}); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	if _, err := two.tokens.WhoAmI(after, &authv1.WhoAmIRequest{}); err != nil {
		t.Errorf("a token of the new key, in another process: %v", err)
	}
}

func TestKeysRotateByTimeOnceForAll(t *testing.T) {
	i := install(t)
	one, two := i.start(t), i.start(t)
	soon(t, func() bool { return len(one.ids(t)) == 1 && len(two.ids(t)) == 1 })
	start := time.Now()
	later := func(d time.Duration) { // on both at once
		t.Helper()
		var wg sync.WaitGroup
		for _, p := range []*process{one, two} {
			k := newKeyring(i.cluster, p.auth.cfg, p.auth.deps.Log, newSignal())
			k.now = func() time.Time { return start.Add(d) }
			wg.Go(func() {
				if _, err := k.rotateIfDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	cfg := one.auth.cfg
	day := 24 * time.Hour
	for _, step := range []struct {
		reason string
		at     time.Duration
		want   int
	}{
		{"a key that is not old stays alone", cfg.KeyRotation - time.Hour, 1},
		{"an old key gets a successor, one for all processes", cfg.KeyRotation + time.Hour, 2},
		{"the successor is not old", cfg.KeyRotation + day, 2},
		{"the next one", 2*cfg.KeyRotation + day, 3},
		{"the first key's tokens have all expired, and the second's not; there is a successor again", cfg.KeyRotation + cfg.MaxTokenLifetime + day, 3},
	} {
		later(step.at)
		t.Log(step.reason)
		soon(t, func() bool { return len(one.ids(t)) == step.want && len(two.ids(t)) == step.want })
	}
}

func TestLeakedKeysAreDropped(t *testing.T) {
	i := install(t)
	p := i.start(t)
	ctx, admin := p.as(t, "ada"), p.admin(t)
	_, err := p.tokens.RotateKeys(ctx, &authv1.RotateKeysRequest{DropPrevious: true})
	fails(t, err, apierror.ReasonForbidden, `cannot update resource "signingkeys"`)
	made, err := p.tokens.RotateKeys(admin, &authv1.RotateKeysRequest{DropPrevious: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ids(t); !slices.Equal(got, []string{made.GetKeyId()}) {
		t.Errorf("keys %v", got)
	}
	if _, err := p.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a token of the dropped key: %v", err)
	}
	if _, err := p.tokens.WhoAmI(p.as(t, "ada"), &authv1.WhoAmIRequest{}); err != nil {
		t.Errorf("a token of the new one: %v", err)
	}
}

// A Secret in which the entry `current` names the key that signs, as the first ones were written.
func TestFirstSecretsAreRead(t *testing.T) {
	i := install(t)
	p := i.start(t)
	id := p.ids(t)[0]
	secrets := i.cluster.clientset.CoreV1().Secrets("fairlead-system")
	secret, err := secrets.Get(t.Context(), "fairlead-signing-keys", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	delete(secret.Data, id+fromSuffix)
	secret.Data[firstKey] = []byte(id)
	if _, err := secrets.Update(t.Context(), secret, kmetav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// It has signed for longer than any key should, so that it gets a successor.
	soon(t, func() bool { return len(p.ids(t)) == 2 })
	set, err := p.auth.keys.get(t.Context())
	if err != nil || set.signer(time.Now()).id != id {
		t.Errorf("got %v, %v", slices.Collect(maps.Keys(set.byID)), err)
	}
}

func TestChangesAreTold(t *testing.T) {
	i := install(t)
	one, two := i.start(t), i.start(t)
	issued, err := one.tokens.Issue(one.admin(t), &authv1.IssueRequest{User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.tokens.WhoAmI(with(t, issued.GetToken()), &authv1.WhoAmIRequest{}); err != nil {
		t.Fatal(err)
	}
	changed := two.auth.authn.Changed()
	start := time.Now()
	if _, err := one.tokens.Revoke(one.admin(t), &authv1.RevokeRequest{Id: issued.GetId()}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("the other process does not tell of the revocation")
	}
	t.Logf("a revocation took %s to another process", time.Since(start))
	if _, err := two.tokens.WhoAmI(with(t, issued.GetToken()), &authv1.WhoAmIRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("once it is told: %v", err)
	}
	rights := two.auth.authz.Changed()
	one.give(t, "x", user("ada"), rule("get", builds, "builds"))
	select {
	case <-rights:
	case <-time.After(10 * time.Second):
		t.Fatal("the other process does not tell of the role")
	}
}
