// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/tools/protoname"
)

const (
	thirdParty     = "third_party"
	kindOption     = "fairlead.meta.v1.kind"
	objectMeta     = "fairlead.meta.v1.ObjectMeta"
	scopeCluster   = "SCOPE_CLUSTER"
	metadataField  = "metadata"
	statusField    = "status"
	defaultColumn  = "string"
	metadataNumber = 1
)

// kind is one message that is marked as a kind. The exported fields are those of the option in its JSON form.
type kind struct {
	Group      string   `json:"group"`
	Version    string   `json:"version"`
	Kind       string   `json:"kind"`
	Plural     string   `json:"plural"`
	Singular   string   `json:"singular"`
	ShortNames []string `json:"shortNames"`
	Categories []string `json:"categories"`
	Scope      string   `json:"scope"`
	Columns    []column `json:"columns"`
	Encrypted  bool     `json:"encrypted"`
	// StoredVersion is empty for the form that is stored.
	StoredVersion string `json:"storedVersion"`

	message protoreflect.Name
	pkg     protoreflect.FullName
	// file is the proto file that holds the message.
	file string
	// hasStatus tells whether the message has a status field.
	hasStatus bool
}

// column is one column of the kind's table.
type column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	JSONPath string `json:"jsonPath"`
	Priority int32  `json:"priority"`
}

// namespaced tells whether objects of the kind live in a namespace.
func (k kind) namespaced() bool { return k.Scope != scopeCluster }

// servicePath is the proto file that kindgen writes for the kind.
func (k kind) servicePath() string {
	return path.Join(path.Dir(k.file), protoname.Snake(string(k.message))+"_service.proto")
}

// compile compiles proto files.
func compile(ctx context.Context, dir string, files []string) (linker.Files, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			ImportPaths: []string{dir, filepath.Join(dir, thirdParty)},
		}),
	}
	compiled, err := compiler.Compile(ctx, files...)
	if err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	return compiled, nil
}

// kindsOf returns the kinds in proto files, sorted by group, version and name.
func kindsOf(compiled linker.Files) ([]kind, error) {
	var kinds []kind
	for _, file := range compiled {
		messages := file.Messages()
		for i := range messages.Len() {
			k, marked, err := kindOf(messages.Get(i))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", messages.Get(i).FullName(), err)
			}
			if marked {
				kinds = append(kinds, k)
			}
		}
	}
	slices.SortFunc(kinds, func(a, b kind) int {
		return cmp.Or(
			strings.Compare(a.Group, b.Group), strings.Compare(a.Version, b.Version), strings.Compare(a.Kind, b.Kind))
	})
	return kinds, errors.Join(checkUnique(kinds), checkStored(kinds))
}

// kindOf reads a message's kind option. The second result tells whether there is one.
func kindOf(message protoreflect.MessageDescriptor) (kind, bool, error) {
	option, marked := messageOption(message, kindOption)
	if !marked {
		return kind{}, false, nil
	}
	encoded, err := protojson.Marshal(option.Interface())
	if err != nil {
		return kind{}, false, fmt.Errorf("reading the kind option: %w", err)
	}
	var k kind
	if err := json.Unmarshal(encoded, &k); err != nil {
		return kind{}, false, fmt.Errorf("reading the kind option: %w", err)
	}
	k.message, k.pkg, k.file = message.Name(), message.ParentFile().Package(), message.ParentFile().Path()
	k.Kind = cmp.Or(k.Kind, string(message.Name()))
	k.Singular = cmp.Or(k.Singular, strings.ToLower(k.Kind))
	for i := range k.Columns {
		k.Columns[i].Type = cmp.Or(k.Columns[i].Type, defaultColumn)
	}
	k.hasStatus = message.Fields().ByName(statusField) != nil
	if k.Group == "" || k.Version == "" || k.Plural == "" {
		return kind{}, false, errors.New("the kind option needs group, version and plural")
	}
	metadata := message.Fields().ByName(metadataField)
	if metadata == nil || metadata.Number() != metadataNumber || metadata.Message() == nil ||
		metadata.Message().FullName() != objectMeta {
		return kind{}, false, fmt.Errorf("a kind needs the field `%s %s = %d`", objectMeta, metadataField, metadataNumber)
	}
	return k, true, nil
}

// messageOption returns the value of a message-typed option of a message or of a method.
func messageOption(of protoreflect.Descriptor, name protoreflect.FullName) (protoreflect.Message, bool) {
	var found protoreflect.Message
	of.Options().ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if fd.FullName() == name {
			found = value.Message()
		}
		return found == nil
	})
	return found, found != nil
}

// checkUnique reports kinds that share a name or a path.
func checkUnique(kinds []kind) error {
	var faults []error
	owners := map[string]protoreflect.FullName{}
	for _, k := range kinds {
		full := k.pkg.Append(k.message)
		for _, key := range []string{
			fmt.Sprintf("kind %s in %s/%s", k.Kind, k.Group, k.Version),
			fmt.Sprintf("plural %s in %s/%s", k.Plural, k.Group, k.Version),
		} {
			if other, taken := owners[key]; taken {
				faults = append(faults, fmt.Errorf("%s and %s are both %s", other, full, key))
			}
			owners[key] = full
		}
	}
	return errors.Join(faults...)
}

// checkStored reports older forms whose stored form is missing, or is called otherwise.
func checkStored(kinds []kind) error {
	var faults []error
	for _, k := range kinds {
		if k.StoredVersion == "" {
			continue
		}
		i := slices.IndexFunc(kinds, func(o kind) bool {
			return o.Group == k.Group && o.Version == k.StoredVersion && o.Kind == k.Kind
		})
		full := k.pkg.Append(k.message)
		switch {
		case i < 0:
			faults = append(faults, fmt.Errorf("%s is stored as %s of %s/%s, and there is no such kind", full, k.Kind, k.Group, k.StoredVersion))
		case kinds[i].StoredVersion != "":
			faults = append(faults, fmt.Errorf("%s is stored as %s, which is itself an older form", full, k.StoredVersion))
		case kinds[i].Plural != k.Plural || kinds[i].namespaced() != k.namespaced():
			faults = append(faults, fmt.Errorf("%s differs from its stored form in plural or scope", full))
		case kinds[i].hasStatus != k.hasStatus:
			faults = append(faults, fmt.Errorf("%s has to have a status where its stored form has one, and else none", full))
		case k.Encrypted:
			faults = append(faults, fmt.Errorf("%s: encrypted is the stored form's to say", full))
		}
	}
	for i, k := range kinds {
		for _, o := range kinds[:i] {
			if k.StoredVersion == "" && o.StoredVersion == "" && k.Group == o.Group && k.Kind == o.Kind && k.Version != o.Version {
				faults = append(faults, fmt.Errorf("%s and %s are both stored: give the older one stored_version", o.pkg.Append(o.message), k.pkg.Append(k.message)))
			}
		}
	}
	return errors.Join(faults...)
}
