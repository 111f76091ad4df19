// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// FuzzOperation decodes operations as they come from other processes. What is accepted touches nothing but the object that it
// names, and the history of that object.
func FuzzOperation(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"resource":{"Group":"g","Plural":"p"},"key":{"namespace":"a","name":"b"},"path":"/fairlead/g/p/a/b","puts":[{"path":"/fairlead/g/p/a/b","value":"eA=="}]}`,
		`{"resource":{"Group":"g","Plural":"p"},"key":{"name":"b"},"path":"/fairlead/g/p/_cluster/b","expected":7,"deletes":[{"from":"/fairlead/g/p/_cluster/b"},{"from":"/fairlead/_history/g/p/_cluster/b/","to":"/fairlead/_history/g/p/_cluster/b0"}]}`,
		`{"resource":{"Group":"","Plural":"p"},"key":{"namespace":"a","name":"b"},"path":"/fairlead/~core/p/a/b","puts":[{"path":"/fairlead/_history/~core/p/a/b/u/1"},{"path":"/fairlead/~core/p/a/b"}]}`,
		`{"resource":{"Group":"g","Plural":"p"},"key":{"namespace":"a","name":"b"},"path":"/fairlead/g/p/a/b","deletes":[{"from":"/fairlead/g/p/a/b","to":"\ufffd"}]}`,
		`{"resource":{"Group":"..","Plural":"p"},"key":{"namespace":"a","name":"b"},"path":"/fairlead/../p/a/b"}`,
	} {
		f.Add(seed)
	}
	keys, err := newKeyspace("/fairlead")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var op Operation
		if json.Unmarshal([]byte(text), &op) != nil {
			return
		}
		if err := op.check(keys); err != nil {
			if !apierror.Is(err, apierror.ReasonBadRequest) {
				t.Errorf("refused with %v, want BadRequest", err)
			}
			return
		}
		k := kinds.Kind{Group: op.Resource.Group, Plural: op.Resource.Plural, Namespaced: op.Key.Namespace != ""}
		path, err := keys.object(k, op.Key)
		if err != nil {
			t.Fatalf("accepted, but its object cannot be: %v", err)
		}
		history := keys.past(k, op.Key)
		inside := func(key string) bool { return key == path || strings.HasPrefix(key, history) }
		for _, put := range op.Puts {
			if !inside(put.Path) {
				t.Errorf("%s: it may write %q", path, put.Path)
			}
		}
		for _, d := range op.Deletes {
			// The last key that a range can have is just before its end.
			if !inside(d.From) || d.To != "" && (!strings.HasPrefix(d.From, history) || d.To > history+"\xff" && d.To != history[:len(history)-1]+"0") {
				t.Errorf("%s: it may delete %q to %q", path, d.From, d.To)
			}
		}
		if op.appendTo(nil) == nil {
			t.Errorf("%s: it does nothing", path)
		}
	})
}

// FuzzPast decodes what lies in the history.
func FuzzPast(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodePast(time.Unix(0, 0), 1, []byte("x")))
	f.Add(encodePast(time.Unix(1_700_000_000, 0), 1<<60, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		replaced, revision, value, err := parsePast(b)
		if err != nil {
			return
		}
		again, againRevision, againValue, err := parsePast(encodePast(replaced, revision, value))
		if err != nil || !again.Equal(replaced) || againRevision != revision || string(againValue) != string(value) {
			t.Errorf("%x: %s %d %q, then %s %d %q, %v", b, replaced, revision, value, again, againRevision, againValue, err)
		}
	})
}
