// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	_ "embed"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// descriptors are our protos with their comments. generate.sh makes them.
//
//go:embed descriptors.binpb
var descriptors []byte

// comments finds what the protos say about their parts.
type comments struct{ files *protoregistry.Files }

func newComments() (comments, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(descriptors, set); err != nil {
		return comments{}, fmt.Errorf("openapi: descriptors: %w", err)
	}
	files, err := protodesc.FileOptions{AllowUnresolvable: true}.NewFiles(set) // protos of others are left out
	if err != nil {
		return comments{}, fmt.Errorf("openapi: descriptors: %w", err)
	}
	return comments{files}, nil
}

// of returns the comment on d, or nothing.
func (c comments) of(d protoreflect.Descriptor) string {
	if c.files == nil {
		return ""
	}
	documented, err := c.files.FindDescriptorByName(d.FullName())
	if err != nil {
		return ""
	}
	text := documented.ParentFile().SourceLocations().ByDescriptor(documented).LeadingComments
	var paragraphs, lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
			continue
		}
		if len(lines) > 0 {
			paragraphs = append(paragraphs, strings.Join(lines, " "))
		}
		lines = nil
	}
	return strings.Join(paragraphs, "\n\n")
}
