// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cloudevent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// ErrNoEvent means that a message holds no event.
var ErrNoEvent = errors.New("no CloudEvent: send the headers ce-specversion, ce-id, ce-source and ce-type with the data as body, " +
	"or a body of type application/cloudevents+json or application/cloudevents-batch+json")

// ErrFormat means that an event comes in a form that is not read here.
var ErrFormat = errors.New("only the JSON formats of CloudEvents are taken: application/cloudevents+json and application/cloudevents-batch+json")

// FaultsError is all that is wrong with an event, one sentence each.
type FaultsError []string

func (f FaultsError) Error() string { return "not a CloudEvent 1.0: " + strings.Join(f, "; ") }

// Read returns the events of an HTTP message: one in binary or structured mode, any number in batched mode. Errors are
// ErrNoEvent, ErrFormat or FaultsError.
func Read(header http.Header, body []byte) ([]*Event, error) {
	mediaType, _, err := mime.ParseMediaType(header.Get(contentType))
	if err != nil {
		mediaType = ""
	}
	switch {
	case mediaType == event.ApplicationCloudEventsJSON:
		e, faults := structured(body)
		if len(faults) > 0 {
			return nil, faults
		}
		return []*Event{e}, nil
	case mediaType == event.ApplicationCloudEventsBatchJSON:
		return batch(body)
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return nil, ErrFormat
	case header.Get("Ce-Specversion") == "" && !carriesAttributes(header):
		return nil, ErrNoEvent
	}
	e, faults := binary(header, body)
	if len(faults) > 0 {
		return nil, faults
	}
	return []*Event{e}, nil
}

func carriesAttributes(header http.Header) bool {
	for key := range header {
		if strings.HasPrefix(key, httpPrefix) {
			return true
		}
	}
	return false
}

func binary(header http.Header, body []byte) (*Event, FaultsError) {
	out := &Event{attributes: make(map[string]string, 8), Data: body}
	var faults FaultsError
	for key, values := range header {
		name, attribute := strings.CutPrefix(key, httpPrefix)
		name = strings.ToLower(name)
		switch {
		case key == contentType:
			name = DataContentType
		case !attribute:
			continue
		}
		if len(values) > 1 {
			faults = append(faults, fmt.Sprintf("%s: is there %d times", name, len(values)))
		}
		if key != contentType && name == DataContentType {
			faults = append(faults, "datacontenttype: is the header Content-Type, not Ce-Datacontenttype")
			continue
		}
		out.attributes[name] = values[0]
	}
	faults = append(faults, out.check()...)
	slices.Sort(faults)
	return out, faults
}

// check tells what is wrong with the attributes, as the CloudEvents SDK sees it.
func (e *Event) check() FaultsError {
	var faults FaultsError
	if v := e.attributes[SpecVersion]; v != "1.0" {
		faults = append(faults, fmt.Sprintf("specversion: is %q, and 1.0 is what is taken", v))
	}
	probe := event.New()
	for name, raw := range e.attributes {
		if strings.ContainsFunc(raw, unicode.IsControl) {
			faults = append(faults, name+": has control characters")
			continue
		}
		value, _ := e.Get(name)
		switch name {
		case SpecVersion:
		case ID:
			probe.SetID(value)
		case Source:
			probe.SetSource(value)
		case Type:
			probe.SetType(value)
		case Subject:
			probe.SetSubject(value)
			if strings.TrimSpace(value) == "" {
				faults = append(faults, "subject: if present, MUST be a non-empty string")
			}
		case Time:
			if _, err := types.ParseTime(value); err != nil {
				faults = append(faults, fmt.Sprintf("time: %q is no RFC 3339 time such as 2026-01-02T15:04:05Z", value))
			}
		case DataSchema:
			probe.SetDataSchema(value)
		case DataContentType:
			probe.SetDataContentType(value)
		default:
			if !validName(name) {
				faults = append(faults, name+": names of attributes have only the letters a to z and digits")
			}
		}
	}
	return append(faults, sdkFaults(probe.Validate())...)
}

// sdkFaults returns the SDK's faults in a stable order.
func sdkFaults(err error) FaultsError {
	var invalid event.ValidationError
	if !errors.As(err, &invalid) {
		if err != nil {
			return FaultsError{err.Error()}
		}
		return nil
	}
	var faults FaultsError
	for name, e := range invalid {
		faults = append(faults, name+": "+e.Error())
	}
	slices.Sort(faults)
	return faults
}

func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// structured reads the JSON format. The SDK's reader is not used: it ends at the first fault, and panics on some values of
// data_base64.
func structured(body []byte) (*Event, FaultsError) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, FaultsError{"an event in structured mode is a JSON object with the attributes as its members"}
	}
	out := &Event{attributes: make(map[string]string, len(fields)+1)}
	var faults FaultsError
	for name, raw := range fields {
		if name == "data" || name == "data_base64" || isNull(raw) {
			continue
		}
		value, err := attributeValue(name, raw)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		out.Set(name, value)
	}
	if err := out.setData(fields["data"], fields["data_base64"]); err != nil {
		faults = append(faults, err.Error())
	}
	if len(faults) == 0 || out.attributes[SpecVersion] != "" {
		faults = append(faults, out.check()...)
	}
	slices.Sort(faults)
	return out, faults
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func attributeValue(name string, raw json.RawMessage) (string, error) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return "", fmt.Errorf("is no JSON value: %w", err)
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case bool:
		if !specAttributes[name] {
			return strconv.FormatBool(v), nil
		}
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 32); err == nil && !specAttributes[name] {
			return strconv.FormatInt(n, 10), nil
		}
	}
	if specAttributes[name] {
		return "", errors.New("must be a string")
	}
	return "", errors.New("must be a string, a boolean or an integer of 32 bits")
}

var specAttributes = map[string]bool{
	SpecVersion: true, ID: true, Source: true, Type: true, Subject: true, Time: true, DataSchema: true, DataContentType: true,
}

func (e *Event) setData(data, dataBase64 json.RawMessage) error {
	contentType, typed := e.attributes[DataContentType]
	switch {
	case !isNull(data) && !isNull(dataBase64):
		return errors.New("data: cannot be there together with data_base64")
	case !isNull(dataBase64):
		var s string
		if err := json.Unmarshal(dataBase64, &s); err != nil {
			return errors.New("data_base64: must be a string")
		}
		decoded, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return fmt.Errorf("data_base64: %w", err)
		}
		e.Data = decoded
	case len(data) == 0:
	case isJSON(contentType):
		e.Data = data
		if !typed {
			e.attributes[DataContentType] = event.ApplicationJSON
		}
	case !isNull(data):
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("data: must be a string, since datacontenttype is %s", contentType)
		}
		e.Data = []byte(s)
	}
	return nil
}

// isJSON tells whether data of the type is JSON; without a type it is.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasSuffix(mediaType, "/json") || strings.HasSuffix(mediaType, "+json"))
}

func batch(body []byte) ([]*Event, error) {
	var items []json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&items); err != nil || decoder.More() {
		return nil, FaultsError{"the body is no JSON array of events"}
	}
	events := make([]*Event, 0, len(items))
	var faults FaultsError
	for i, item := range items {
		e, wrong := structured(item)
		for _, f := range wrong {
			faults = append(faults, fmt.Sprintf("event %d: %s", i, f))
		}
		events = append(events, e)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return events, nil
}
