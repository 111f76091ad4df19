// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/testing/protocmp"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/encryption"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// secretText is what must be nowhere in etcd.
const secretText = "cormorant-on-the-mole"

// sealedServices are services that are encrypted at rest.
func sealedServices(t testing.TB) kinds.Kind {
	t.Helper()
	k := storetest.Services(t)
	k.Encrypted = true
	return k
}

func encryptionKeys(t testing.TB, current string, letters ...string) *encryption.Keys {
	t.Helper()
	keys := map[string][]byte{}
	for _, l := range letters {
		keys[l] = bytes.Repeat([]byte(l), 32)
	}
	k, err := encryption.New(current, keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func secretService(name, tag string) *servingv1.Service {
	o := storetest.Service("shop", name, "text="+secretText)
	o.Spec = &servingv1.ServiceSpec{Traffic: []*servingv1.TrafficTarget{{Tag: secretText + tag}}}
	return o
}

func putSecret(t testing.TB, s *store.Store, k kinds.Kind, name, tag string) store.Object {
	t.Helper()
	obj, err := s.Update(t.Context(), k, store.Key{Namespace: "shop", Name: name}, "", func(store.Object) (store.Object, error) {
		return secretService(name, tag), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// plainKeys are the keys in etcd under which the secret text lies open.
func plainKeys(t testing.TB, client *clientv3.Client) []string {
	t.Helper()
	resp, err := client.Get(t.Context(), "/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, kv := range resp.Kvs {
		if bytes.Contains(kv.Value, []byte(secretText)) {
			found = append(found, string(kv.Key))
		}
	}
	return found
}

// plainFiles are the files below dir that hold the text.
func plainFiles(t testing.TB, dir, text string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestNothingLiesOpen writes objects of an encrypted kind in every way there is, and looks for their text in etcd's values and
// in the files of its data directory.
func TestNothingLiesOpen(t *testing.T) {
	dir := t.TempDir()
	e := etcdtest.StartEmbedded(t, dir)
	k := sealedServices(t)
	s := storetest.StartOn(t, e.Client(), store.Options{Encryption: encryptionKeys(t, "a", "a")})
	w, err := store.For[*servingv1.Service](s, k).Watch(t.Context(), store.WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if _, err := s.Create(t.Context(), k, secretService("web", "1")); err != nil {
		t.Fatal(err)
	}
	last := putSecret(t, s, k, "web", "2")
	if _, err := s.CreateFor(t.Context(), k, secretService("brief", "1"), time.Hour); err != nil {
		t.Fatal(err)
	}
	tx := s.Begin()
	if _, err := s.In(tx).Create(t.Context(), k, secretService("together", "1")); err != nil {
		t.Fatal(err)
	}
	putSecret(t, s.In(tx), k, "brief", "2")
	if _, err := s.Commit(t.Context(), tx.Operations()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), storetest.Services(t), storetest.Service("shop", "open", "text=not-"+"encrypted")); err != nil {
		t.Fatal(err)
	}

	if found := plainKeys(t, e.Client()); len(found) > 0 {
		t.Errorf("the text lies open under %v", found)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if found := plainFiles(t, dir, secretText); len(found) > 0 {
		t.Errorf("the text lies open in %v", found)
	}
	if found := plainFiles(t, dir, "not-encrypted"); len(found) == 0 {
		t.Error("a text that is not encrypted is not found either: the search finds nothing")
	}

	again := storetest.StartOn(t, etcdtest.StartEmbedded(t, dir).Client(), store.Options{Encryption: encryptionKeys(t, "b", "a", "b")})
	got, err := again.Get(t.Context(), k, store.KeyOf(last))
	if d := cmp.Diff(last, got, protocmp.Transform()); d != "" || err != nil {
		t.Errorf("read by the next process: %v (-want +got):\n%s", err, d)
	}
	versions, err := again.History(t.Context(), k, store.KeyOf(last))
	if err != nil || len(versions) != 1 || versions[0].Object.(*servingv1.Service).GetSpec().GetTraffic()[0].GetTag() != secretText+"1" {
		t.Errorf("history: got %v, %v", versions, err)
	}
	for range 4 {
		if ev := read(t, w); ev == nil || ev.Object.GetMetadata().GetLabels()["text"] != secretText {
			t.Errorf("a watch tells %v, %v", ev, w.Err())
		}
	}
}

func TestReencryption(t *testing.T) {
	client := etcdtest.Start(t)
	plain, k := storetest.Services(t), sealedServices(t)
	first := storetest.StartOn(t, client, store.Options{Encryption: encryptionKeys(t, "a", "a")})
	for _, name := range []string{"one", "two"} {
		if _, err := first.Create(t.Context(), plain, secretService(name, "1")); err != nil {
			t.Fatal(err)
		}
		putSecret(t, first, plain, name, "2")
	}
	putSecret(t, first, k, "two", "3") // what is plain can be read, and becomes encrypted when it is written
	if found := plainKeys(t, client); len(found) != 3 {
		t.Fatalf("open are %v, want one object and the history of two", found)
	}
	reencrypt := func(s *store.Store, k kinds.Kind, want int) {
		t.Helper()
		if n, err := s.Reencrypt(t.Context(), k); err != nil || n != want {
			t.Errorf("rewritten: got %d, %v; want %d", n, err, want)
		}
	}
	reencrypt(first, k, 3)
	reencrypt(first, k, 0)
	if found := plainKeys(t, client); len(found) > 0 {
		t.Errorf("the text lies open under %v", found)
	}
	second := storetest.StartOn(t, client, store.Options{Prefix: "/fairlead", Encryption: encryptionKeys(t, "b", "a", "b")})
	reencrypt(second, k, 5)
	third := storetest.StartOn(t, client, store.Options{Encryption: encryptionKeys(t, "b", "b")})
	for _, name := range []string{"one", "two"} {
		key := store.Key{Namespace: "shop", Name: name}
		if _, err := third.Get(t.Context(), k, key); err != nil {
			t.Errorf("%s, without the old key: %v", key, err)
		}
		if versions, err := third.History(t.Context(), k, key); err != nil || len(versions) == 0 {
			t.Errorf("the history of %s, without the old key: got %v, %v", key, versions, err)
		}
	}
	reencrypt(third, plain, 5)
	if found := plainKeys(t, client); len(found) != 5 {
		t.Errorf("no longer encrypted: open are %v, want all 5", found)
	}
}

func TestEncryptionRefuses(t *testing.T) {
	client := etcdtest.Start(t)
	k := sealedServices(t)
	none := storetest.StartOn(t, client, store.Options{})
	_, err := none.Create(t.Context(), k, secretService("web", "1"))
	if !apierror.Is(err, apierror.ReasonServiceUnavailable) || !strings.Contains(err.Error(), "encryption keys") {
		t.Errorf("without keys: got %v, want a refusal that says so", err)
	}
	s := storetest.StartOn(t, client, store.Options{Encryption: encryptionKeys(t, "a", "a")})
	for _, name := range []string{"one", "two"} {
		if _, err := s.Create(t.Context(), k, secretService(name, name)); err != nil {
			t.Fatal(err)
		}
	}
	key := store.Key{Namespace: "shop", Name: "one"}
	quiet := func(keys *encryption.Keys) *store.Store {
		return storetest.StartOn(t, client, store.Options{Encryption: keys, Log: slog.New(slog.DiscardHandler)})
	}
	for name, reader := range map[string]*store.Store{"no keys": quiet(nil), "other keys": quiet(encryptionKeys(t, "b", "b"))} {
		if _, err := reader.Get(t.Context(), k, key); !apierror.Is(err, apierror.ReasonInternalError) {
			t.Errorf("%s: got %v, want an internal error", name, err)
		}
	}
	// Whoever can write to etcd cannot pass one object's value off as another's.
	swap(t.Context(), t, client, "/fairlead/serving.knative.dev/services/shop/one", "/fairlead/serving.knative.dev/services/shop/two")
	if got, err := quiet(encryptionKeys(t, "a", "a")).Get(t.Context(), k, key); err == nil {
		t.Errorf("the value of another object is taken: %v", got)
	}
}

// swap exchanges the values of two keys.
func swap(ctx context.Context, t testing.TB, client *clientv3.Client, a, b string) {
	t.Helper()
	values := make([]string, 2)
	for i, key := range []string{a, b} {
		resp, err := client.Get(ctx, key)
		if err != nil || len(resp.Kvs) != 1 {
			t.Fatalf("%s: %v, %v", key, resp, err)
		}
		values[i] = string(resp.Kvs[0].Value)
	}
	if _, err := client.Txn(ctx).Then(clientv3.OpPut(a, values[1]), clientv3.OpPut(b, values[0])).Commit(); err != nil {
		t.Fatal(err)
	}
}
