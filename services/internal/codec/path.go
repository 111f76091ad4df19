// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"strconv"
	"strings"
)

// step leads from a value to one inside it.
type step struct {
	name  string
	index int
	kind  stepKind
}

type stepKind int

const (
	stepField stepKind = iota
	stepIndex
	stepKey
)

// path leads from the document to the value that is being read.
type path []step

// String is the path as Kubernetes writes it in causes: spec.containers[0].env, metadata.labels[app].
func (p path) String() string {
	return p.format(func(b *strings.Builder, key string) {
		b.WriteByte('[')
		b.WriteString(key)
		b.WriteByte(']')
	})
}

// dotted is the path as kube-apiserver writes it for unknown and duplicate fields: metadata.labels.app.
func (p path) dotted() string {
	return p.format(func(b *strings.Builder, key string) {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(key)
	})
}

func (p path) format(writeKey func(b *strings.Builder, key string)) string {
	var b strings.Builder
	for _, s := range p {
		switch s.kind {
		case stepIndex:
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.index))
			b.WriteByte(']')
		case stepKey:
			writeKey(&b, abridge(s.name))
		case stepField:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(abridge(s.name))
		}
	}
	return b.String()
}

// abridge keeps names and values that users sent to a length that fits a message.
func abridge(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
