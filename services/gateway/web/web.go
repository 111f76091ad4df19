// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package web answers gRPC calls that come over HTTP, as browsers make them: in the protocols of gRPC-Web and Connect, and
// in gRPC's own where the connection is HTTP/2. Each becomes a call of the service, with the deadline, the cancellation and
// the metadata of its context.
package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"connectrpc.com/connect"
	connectcors "connectrpc.com/cors"
	"github.com/rs/cors"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/wire"
)

// pathPrefix is what the paths of all our methods begin with: their packages do.
const pathPrefix = "/fairlead."

// preflightSeconds is how long browsers remember what they may send.
const preflightSeconds = 7200

// Handler answers the calls. Who may call is for the services to say.
type Handler struct {
	methods map[string]http.Handler
	unknown *connect.ErrorWriter
	handler http.Handler
}

// New makes a handler of every method of ours that answers one request, once or with a stream. Pages of other origins than
// the gateway's own may call only if they are among origins.
func New(conn grpc.ClientConnInterface, origins []string) *Handler {
	h := &Handler{methods: map[string]http.Handler{}}
	options := []connect.HandlerOption{
		connect.WithCodec(binaryCodec{}), connect.WithCodec(jsonCodec{"json"}), connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
		connect.WithRequestInitializer(initialize), connect.WithReadMaxBytes(rpc.DefaultMaxMessageBytes),
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix("/"+string(file.Package()), pathPrefix) {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if m := methods.Get(j); !m.IsStreamingClient() {
					c := call{conn: conn, method: m, path: fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())}
					h.methods[c.path] = c.handler(options)
				}
			}
		}
		return true
	})
	h.unknown = connect.NewErrorWriter(options...)
	h.handler = http.HandlerFunc(h.call)
	if len(origins) > 0 {
		h.handler = cors.New(cors.Options{
			AllowedOrigins: origins,
			AllowedMethods: connectcors.AllowedMethods(),
			AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", "X-Request-Id"),
			ExposedHeaders: append(connectcors.ExposedHeaders(), "X-Request-Id", wire.WarningKey),
			MaxAge:         preflightSeconds,
		}).Handler(h.handler)
	}
	return h
}

// CheckOrigin tells what is wrong with an origin that New is to be given.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Host == "" || strings.Contains(u.Host, "*") || origin != u.Scheme+"://"+u.Host {
		return fmt.Errorf("%q is no origin of web pages; name one such as https://console.example.com, without a path or *", origin)
	}
	return nil
}

// Handles tells whether a request is a call, or a browser's question whether it may make one.
func (h *Handler) Handles(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, pathPrefix) }

// Streams tells whether a call is answered with a stream.
func (h *Handler) Streams(r *http.Request) bool {
	_, ok := h.methods[r.URL.Path].(*streaming)
	return ok
}

// ServeHTTP answers a call, with the outgoing metadata of its context.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }

func (h *Handler) call(w http.ResponseWriter, r *http.Request) {
	if m, ok := h.methods[r.URL.Path]; ok {
		m.ServeHTTP(w, r)
		return
	}
	_ = h.unknown.Write(w, r, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("no method is served at %s", r.URL.Path))) // fails only where nobody listens any more
}
