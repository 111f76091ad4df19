// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package encryption_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/internal/store/encryption"
)

// key makes a key of a letter.
func key(letter string) []byte { return bytes.Repeat([]byte(letter), 32) }

func newKeys(t testing.TB, current string, letters ...string) *encryption.Keys {
	t.Helper()
	keys := map[string][]byte{}
	for _, l := range letters {
		keys[l] = key(l)
	}
	k, err := encryption.New(current, keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *encryption.Keys, place, text string) []byte {
	t.Helper()
	value, err := k.Seal(place, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestSealAndOpen(t *testing.T) {
	k := newKeys(t, "a", "a", "b")
	for name, text := range map[string]string{"text": "the secret", "nothing": "", "much": strings.Repeat("x", 1<<20)} {
		t.Run(name, func(t *testing.T) {
			value := seal(t, k, "/p", text)
			if !encryption.Encrypted(value) || text != "" && bytes.Contains(value, []byte(text)) {
				t.Errorf("the value is not encrypted")
			}
			if id, err := encryption.KeyID(value); id != "a" || err != nil {
				t.Errorf("key: got %q, %v", id, err)
			}
			// Another process, which has no data key in memory.
			for _, by := range []*encryption.Keys{k, newKeys(t, "b", "a", "b")} {
				got, err := by.Open("/p", value)
				if err != nil || string(got) != text {
					t.Errorf("opened: got %d bytes, %v", len(got), err)
				}
			}
		})
	}
	if bytes.Equal(seal(t, k, "/p", "same"), seal(t, k, "/p", "same")) {
		t.Error("the same text gives the same value, which tells that it is the same")
	}
}

func TestOpenRefuses(t *testing.T) {
	k := newKeys(t, "a", "a")
	value := seal(t, k, "/p", "the secret")
	with := func(at int, b byte) []byte {
		v := bytes.Clone(value)
		v[at] = b
		return v
	}
	for name, tc := range map[string]struct {
		keys  *encryption.Keys
		place string
		value []byte
	}{
		"another place":             {k, "/q", value},
		"another key of that name":  {mustKeys(t, "a", map[string][]byte{"a": key("z")}), "/p", value},
		"a key that is not there":   {newKeys(t, "b", "b"), "/p", value},
		"a changed text":            {k, "/p", with(len(value)-1, value[len(value)-1]^1)},
		"a changed data key":        {k, "/p", with(30, value[30]^1)},
		"another version":           {k, "/p", with(4, 9)},
		"a plain value":             {k, "/p", []byte("plain")},
		"half a value":              {k, "/p", value[:len(value)/2]},
		"a length beyond the value": {k, "/p", with(5, 255)},
		"a header alone":            {k, "/p", value[:5]},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := tc.keys.Open(tc.place, tc.value); err == nil {
				t.Errorf("opened: %q", got)
			}
		})
	}
	if _, err := newKeys(t, "b", "b").Open("/p", value); !errors.Is(err, encryption.ErrUnknownKey) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("got %v, want ErrUnknownKey that names the key", err)
	}
}

func mustKeys(t testing.TB, current string, keys map[string][]byte) *encryption.Keys {
	t.Helper()
	k, err := encryption.New(current, keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRotation(t *testing.T) {
	k := newKeys(t, "a", "a")
	old := seal(t, k, "/p", "old")
	if err := k.Reload(encryption.Secret(map[string][]byte{"current": []byte("b\n"), "a.key": key("a"), "b.key": key("b")})); err != nil {
		t.Fatal(err)
	}
	if id, err := encryption.KeyID(seal(t, k, "/p", "new")); id != "b" || err != nil {
		t.Errorf("written under %q, %v; want b", id, err)
	}
	if got, err := k.Open("/p", old); err != nil || string(got) != "old" {
		t.Errorf("what is under the old key: got %q, %v", got, err)
	}
	if err := k.Reload(encryption.Secret(map[string][]byte{"current": []byte("c"), "b.key": key("b")})); err == nil || k.Current() != "b" {
		t.Errorf("keys without the current one: got %v, and %s is current", err, k.Current())
	}
	if err := k.Reload(encryption.Secret(map[string][]byte{"current": []byte("b"), "b.key": key("b")})); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open("/p", old); !errors.Is(err, encryption.ErrUnknownKey) {
		t.Errorf("after the old key is gone: got %v, want ErrUnknownKey", err)
	}
}

func TestSources(t *testing.T) {
	b64 := func(letter string) string { return base64.StdEncoding.EncodeToString(key(letter)) }
	file := func(text string) encryption.Source {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return encryption.File(path)
	}
	secret := func(entries ...string) encryption.Source {
		data := map[string][]byte{}
		for i := 0; i < len(entries); i += 2 {
			data[entries[i]] = []byte(entries[i+1])
		}
		return encryption.Secret(data)
	}
	for name, tc := range map[string]struct {
		from encryption.Source
		want string // what the keys are; empty for a refusal
	}{
		"a file":                        {file("# keys\n\nb " + b64("b") + "\na\t" + b64("a") + "\n"), "encryption keys a, b, current b"},
		"a secret":                      {secret("current", "a", "a.key", string(key("a")), "b.key", b64("b")+"\n", "note", "x"), "encryption keys a, b, current a"},
		"no file":                       {encryption.File(filepath.Join(t.TempDir(), "none")), ""},
		"an empty file":                 {file("# nothing\n"), ""},
		"a line of one word":            {file(b64("s")), ""},
		"a line of three":               {file("a b " + b64("s")), ""},
		"the key before its id":         {file(b64("s") + " a"), ""},
		"an id twice":                   {file("a " + b64("s") + "\na " + b64("t")), ""},
		"a short key":                   {file("a " + base64.StdEncoding.EncodeToString(key("s")[:31])), ""},
		"a key that is no base64":       {file("a ssssssssssssss!"), ""},
		"a strange id":                  {file("a/b " + b64("s")), ""},
		"no current":                    {secret("a.key", string(key("s"))), ""},
		"a key where its id should be":  {secret("current", b64("s"), "a.key", b64("s")), ""},
		"a current that is not there":   {secret("current", "b", "a.key", b64("s")), ""},
		"a bad key in a secret":         {secret("current", "a", "a.key", strings.Repeat("s", 20)), ""},
		"a key as the name of an entry": {secret("current", "a", b64("s")+".key", b64("s")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := encryption.Load(tc.from)
			if tc.want == "" {
				if err == nil {
					t.Fatalf("got %s, want a refusal", k)
				}
				for _, secret := range []string{b64("s"), b64("s")[:20], "ssss"} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("the error shows the key: %v", err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, shown := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k)} {
				if d := cmp.Diff(tc.want, shown); d != "" {
					t.Errorf("printed (-want +got):\n%s", d)
				}
			}
		})
	}
}

// FuzzOpen opens values of all kinds: it must refuse, and never do anything else, unless they were sealed for their place.
func FuzzOpen(f *testing.F) {
	k := newKeys(f, "a", "a")
	sealed := []string{"", "x", "the secret"}
	for _, text := range sealed {
		value := seal(f, k, "/p", text)
		f.Add(value)
		f.Add(value[:len(value)-1])
		f.Add(append(bytes.Clone(value), 0))
	}
	f.Add([]byte{0, 'F', 'L', 'E', 1})
	f.Add([]byte{0, 'F', 'L', 'E', 1, 255})
	f.Fuzz(func(t *testing.T, value []byte) {
		if id, err := encryption.KeyID(value); err == nil && (id == "" || len(id) > 63) {
			t.Errorf("id: %q", id)
		}
		if got, err := k.Open("/p", value); err == nil && !slices.Contains(sealed, string(got)) {
			t.Errorf("%q opens to %q", value, got)
		}
		if got, err := k.Open("/q", value); err == nil {
			t.Errorf("%q opens in another place to %q", value, got)
		}
	})
}
