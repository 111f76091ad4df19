// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cloudevent reads CloudEvents 1.0 from HTTP in binary, structured and batched mode, and writes them in binary
// mode. What came in binary mode leaves it byte for byte as it came.
package cloudevent

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// Names of attributes.
const (
	SpecVersion     = "specversion"
	ID              = "id"
	Source          = "source"
	Type            = "type"
	Subject         = "subject"
	Time            = "time"
	DataSchema      = "dataschema"
	DataContentType = "datacontenttype"
)

const (
	contentType = "Content-Type"
	httpPrefix  = "Ce-"
	// keyPrefix and keyContentType are how NATS' binding of CloudEvents names headers.
	keyPrefix      = "ce-"
	keyContentType = "content-type"
)

// Event is a CloudEvent. Its attributes are kept as they stand in HTTP headers, percent-encoded where need be.
type Event struct {
	attributes map[string]string
	// Data is the event's data, without any encoding.
	Data []byte
}

// New returns an event with the required attributes.
func New(id, source, eventType string) *Event {
	e := &Event{attributes: map[string]string{}}
	e.Set(SpecVersion, "1.0")
	e.Set(ID, id)
	e.Set(Source, source)
	e.Set(Type, eventType)
	return e
}

// Get returns the value of an attribute or extension, and whether the event has it.
func (e *Event) Get(name string) (string, bool) {
	raw, ok := e.attributes[name]
	if name == DataContentType {
		return raw, ok
	}
	return decode(raw), ok
}

// Set gives an attribute or extension a value. The name is lower case already.
func (e *Event) Set(name, value string) {
	if name != DataContentType {
		value = encode(value)
	}
	e.attributes[name] = value
}

// Remove takes an attribute or extension away.
func (e *Event) Remove(name string) { delete(e.attributes, name) }

// Clone returns a copy that shares only Data.
func (e *Event) Clone() *Event {
	c := &Event{attributes: make(map[string]string, len(e.attributes)+3), Data: e.Data}
	maps.Copy(c.attributes, e.attributes)
	return c
}

// Matches tells whether the event has each of the attributes with just that value; an empty value means any. Since many
// senders do not percent-encode header values, a value counts as it came too.
func (e *Event) Matches(attributes map[string]string) bool {
	for name, want := range attributes {
		raw, ok := e.attributes[name]
		if !ok || (want != "" && raw != want && decode(raw) != want) {
			return false
		}
	}
	return true
}

// WriteHeader sets the headers that tell the event in binary mode.
func (e *Event) WriteHeader(h http.Header) {
	for name, raw := range e.attributes {
		if name == DataContentType {
			h[contentType] = []string{raw}
		} else {
			h[textproto.CanonicalMIMEHeaderKey(httpPrefix+name)] = []string{raw}
		}
	}
}

// Encode returns the event's attributes as headers of a NATS message.
func (e *Event) Encode() map[string][]string {
	h := make(map[string][]string, len(e.attributes)+3)
	for name, raw := range e.attributes {
		if name == DataContentType {
			h[keyContentType] = []string{raw}
		} else {
			h[keyPrefix+name] = []string{raw}
		}
	}
	return h
}

// Decode is the reverse of Encode.
func Decode(header map[string][]string, data []byte) *Event {
	e := &Event{attributes: make(map[string]string, len(header)), Data: data}
	for key, values := range header {
		if len(values) == 0 {
			continue
		}
		if key == keyContentType {
			e.attributes[DataContentType] = values[0]
		} else if name, ok := strings.CutPrefix(key, keyPrefix); ok {
			e.attributes[name] = values[0]
		}
	}
	return e
}

func (e *Event) String() string {
	get := func(name string) string { v, _ := e.Get(name); return v }
	return fmt.Sprintf("%s from %s of type %s", get(ID), get(Source), get(Type))
}

// plain tells whether a byte stands for itself in a header, by the HTTP binding of CloudEvents.
func plain(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' }

func encode(s string) string {
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		if plain(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// decode returns s as it is when it is not percent-encoded, or wrongly.
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}
