// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/store"
)

// view is how one request wants to be answered, and what came of reading it.
type view struct {
	kind   *kinds.Kind
	verb   string
	form   form
	stream bool
	strict bool
	ignore bool
	// unread says that answers are bytes still.
	unread bool

	warnings  []string
	decodeErr error
	streamErr error
	started   bool
}

type viewKey struct{}

func viewFrom(ctx context.Context) *view {
	if v, ok := ctx.Value(viewKey{}).(*view); ok {
		return v
	}
	return &view{}
}

// body is a request body that knows how strictly it is to be read; the decoder finds it as its reader.
type body struct {
	io.Reader

	view *view
}

func (*body) Close() error { return nil }

// marshaler lets grpc-gateway speak Kubernetes' JSON and YAML.
type marshaler struct {
	yaml, text bool
}

// ContentType is the media type of answers.
func (m marshaler) ContentType(any) string {
	switch {
	case m.yaml:
		return mimeYAML
	case m.text:
		return "text/plain; charset=utf-8"
	}
	return mimeJSON
}

// Delimiter ends each message of a stream.
func (m marshaler) Delimiter() []byte {
	switch {
	case m.text:
		return []byte{}
	case m.yaml:
		return []byte("---\n")
	}
	return []byte("\n")
}

// Marshal encodes an answer.
func (m marshaler) Marshal(v any) ([]byte, error) {
	data, err := m.json(v)
	if err != nil || !m.yaml {
		return data, err
	}
	return codec.JSONToYAML(data) //nolint:wrapcheck // grpc-gateway wraps it
}

func (m marshaler) json(v any) ([]byte, error) {
	switch v := v.(type) {
	case json.RawMessage:
		return v, nil
	case proto.Message:
		return codec.Marshal(v)
	case map[string]any: // a message of a stream, which grpc-gateway wraps
		return m.json(v["result"])
	case map[string]proto.Message: // an error in a stream; streamWriter writes it
		return []byte{}, nil
	}
	return json.Marshal(v) //nolint:wrapcheck // grpc-gateway wraps it
}

// Unmarshal decodes a message.
func (m marshaler) Unmarshal(data []byte, v any) error {
	return m.NewDecoder(bytes.NewReader(data)).Decode(v) //nolint:wrapcheck // grpc-gateway wraps it
}

// NewEncoder encodes into w.
func (m marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		data, err := m.Marshal(v)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
}

// NewDecoder decodes what r holds, whole. Faults and warnings go to the request's view as well, since grpc-gateway keeps
// only an error's text.
func (m marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err //nolint:wrapcheck // grpc-gateway wraps it
		}
		if raw, ok := v.(*[]byte); ok {
			*raw = data
			return nil
		}
		vw := &view{}
		if b, ok := r.(*body); ok {
			vw = b.view
		}
		msg, err := message(v)
		if err != nil {
			return err
		}
		warnings, err := codec.Unmarshal(data, msg, codec.Options{Strict: vw.strict})
		if err != nil {
			vw.decodeErr = err
			return err //nolint:wrapcheck // an error of ours
		}
		if !vw.ignore {
			vw.warnings = warnings
		}
		return nil
	})
}

// message returns the message that v, a message or a pointer to a message field, is to hold.
func message(v any) (proto.Message, error) {
	if msg, ok := v.(proto.Message); ok {
		return msg, nil
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer && rv.Elem().Kind() == reflect.Pointer {
		rv.Elem().Set(reflect.New(rv.Elem().Type().Elem()))
		if msg, ok := reflect.TypeAssert[proto.Message](rv.Elem()); ok {
			return msg, nil
		}
	}
	return nil, fmt.Errorf("gateway: a %T is no message", v)
}

// listResponse and watchResponse are what the generated messages of all kinds have in common.
type listResponse interface {
	proto.Message
	GetMetadata() *metav1.ListMeta
}

type watchResponse interface {
	proto.Message
	GetType() string
}

// rewrite turns messages into what Kubernetes' clients expect in their place.
func rewrite(ctx context.Context, m proto.Message) (any, error) {
	v := viewFrom(ctx)
	switch m := m.(type) {
	case *buildv1.LogServiceReadResponse:
		return &httpbody.HttpBody{ContentType: "text/plain", Data: m.GetData()}, nil
	case *metav1.DeleteCollectionResponse:
		return success(v.kind, nil), nil
	}
	if v.kind == nil {
		return m, nil
	}
	if v.unread {
		return v.writeUnread(m)
	}
	if list, ok := m.(listResponse); ok {
		return v.list(list)
	}
	if event, ok := m.(watchResponse); ok && v.verb == "watch" {
		return v.event(event)
	}
	obj, ok := m.(store.Object)
	if !ok {
		return m, nil
	}
	if v.verb == "delete" && len(obj.GetMetadata().GetFinalizers()) == 0 {
		return success(v.kind, obj.GetMetadata()), nil
	}
	return v.object(obj)
}

func success(k *kinds.Kind, m *metav1.ObjectMeta) *kmetav1.Status {
	s := &kmetav1.Status{TypeMeta: kmetav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: kmetav1.StatusSuccess}
	if k != nil && m != nil {
		s.Details = &kmetav1.StatusDetails{Group: k.Group, Kind: k.Plural, Name: m.GetName(), UID: types.UID(m.GetUid())}
	}
	return s
}

// streamWriter writes the errors of streams as Kubernetes does: a Status with its code before the first message, an
// ERROR event after it.
type streamWriter struct {
	*recorder

	view *view
	sent bool
	done bool
}

// WriteHeader sends the code once.
func (w *streamWriter) WriteHeader(code int) {
	if w.sent || w.view.streamErr != nil {
		return
	}
	w.sent = true
	w.recorder.WriteHeader(code)
}

func (w *streamWriter) Write(p []byte) (int, error) {
	if w.view.streamErr == nil {
		w.sent = true
		return w.recorder.Write(p)
	}
	if w.done {
		return len(p), nil
	}
	w.done = true
	e := apierror.From(w.view.streamErr)
	switch {
	case !w.sent:
		w.Header().Del("Transfer-Encoding")
		writeError(w.recorder, e)
	case w.view.verb == "watch":
		data, err := json.Marshal(eventJSON{Type: "ERROR", Object: e.Kubernetes()})
		if err != nil {
			return 0, err //nolint:wrapcheck // grpc-gateway logs it
		}
		_, _ = w.recorder.Write(append(data, '\n'))
	default:
		_, _ = w.recorder.Write([]byte("error: " + e.Message + "\n"))
	}
	w.Flush()
	return len(p), nil
}

var _ http.Flusher = (*streamWriter)(nil)
