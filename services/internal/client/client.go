// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package client calls the services of kinds, whatever the kind: the generated clients know one kind each. Its errors are
// apierror.Errors.
package client

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// Client calls the services of kinds over a connection. It may be used by many goroutines.
type Client struct {
	conn  grpc.ClientConnInterface
	kinds []kinds.Kind
}

// New makes a client that knows ks. The connection stays the caller's.
func New(conn grpc.ClientConnInterface, ks []kinds.Kind) *Client {
	return &Client{conn: conn, kinds: ks}
}

// Conn is the connection, for services that are no kind's.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Kinds are the kinds that the client knows.
func (c *Client) Kinds() []kinds.Kind { return c.kinds }

// KindOf returns the kind that a document means by its apiVersion and kind. The second result is false when the client
// knows none.
func (c *Client) KindOf(apiVersion, kind string) (kinds.Kind, bool) {
	for _, k := range c.kinds {
		if k.APIVersion() == apiVersion && k.Kind == kind {
			return k, true
		}
	}
	return kinds.Kind{}, false
}

// Get returns the newest state of an object.
func (c *Client) Get(ctx context.Context, k kinds.Kind, key store.Key) (store.Object, error) {
	return c.object(ctx, k, "Get", &metav1.GetRequest{Namespace: key.Namespace, Name: key.Name})
}

// Patch changes an object, or creates it by an apply, and returns it as stored.
func (c *Client) Patch(ctx context.Context, k kinds.Kind, req *metav1.PatchRequest) (store.Object, error) {
	return c.object(ctx, k, "Patch", req)
}

// Delete deletes an object and returns its last state. With finalizers in it, the object is still there and waits for
// them.
func (c *Client) Delete(ctx context.Context, k kinds.Kind, req *metav1.DeleteRequest) (store.Object, error) {
	return c.object(ctx, k, "Delete", req)
}

// History returns the states that an object's spec had before, the newest first.
func (c *Client) History(ctx context.Context, k kinds.Kind, key store.Key) ([]store.Version, error) {
	answer, err := newAnswer(k, "History")
	if err != nil {
		return nil, err
	}
	req := &metav1.HistoryRequest{Namespace: key.Namespace, Name: key.Name}
	if err := c.conn.Invoke(ctx, methodOf(k, "History"), req, answer.Interface()); err != nil {
		return nil, apierror.FromStatus(err)
	}
	list := answer.Get(answer.Descriptor().Fields().ByName("versions")).List()
	versions := make([]store.Version, list.Len())
	for i := range versions {
		item := list.Get(i).Message()
		fields := item.Descriptor().Fields()
		obj, ok := item.Get(fields.ByName("object")).Message().Interface().(store.Object)
		if !ok {
			return nil, notAnObject(k)
		}
		versions[i] = store.Version{Generation: item.Get(fields.ByName("generation")).Int(), Object: obj}
		if replaced, ok := item.Get(fields.ByName("replaced")).Message().Interface().(*timestamppb.Timestamp); ok {
			versions[i].Replaced = replaced.AsTime()
		}
	}
	return versions, nil
}

// Rollback gives an object a former state again, as a new generation, and returns it as stored.
func (c *Client) Rollback(ctx context.Context, k kinds.Kind, req *metav1.RollbackRequest) (store.Object, error) {
	return c.object(ctx, k, "Rollback", req)
}

// List returns one page of objects.
func (c *Client) List(ctx context.Context, k kinds.Kind, req *metav1.ListRequest) (*store.List, error) {
	answer, err := newAnswer(k, "List")
	if err != nil {
		return nil, err
	}
	if err := c.conn.Invoke(ctx, methodOf(k, "List"), req, answer.Interface()); err != nil {
		return nil, apierror.FromStatus(err)
	}
	fields := answer.Descriptor().Fields()
	meta, ok := answer.Get(fields.ByName("metadata")).Message().Interface().(*metav1.ListMeta)
	if !ok {
		return nil, apierror.Internal(fmt.Errorf("client: a list of %s has no metadata", k.Plural))
	}
	items := answer.Get(fields.ByName("items")).List()
	list := &store.List{
		Items: make([]store.Object, items.Len()), ResourceVersion: meta.GetResourceVersion(),
		Continue: meta.GetContinue(), Remaining: meta.RemainingItemCount,
	}
	for i := range list.Items {
		if list.Items[i], ok = items.Get(i).Message().Interface().(store.Object); !ok {
			return nil, notAnObject(k)
		}
	}
	return list, nil
}

// ListAll returns every object that req chooses, read in pages of req.Limit, all of one version. When that version is no
// longer kept by the time of a later page, everything is read anew at once.
func (c *Client) ListAll(ctx context.Context, k kinds.Kind, req *metav1.ListRequest) (*store.List, error) {
	page := proto.CloneOf(req)
	all := &store.List{}
	for {
		list, err := c.List(ctx, k, page)
		if apierror.Is(err, apierror.ReasonExpired) && page.GetContinue() != "" {
			page = proto.CloneOf(req)
			page.Limit, all = 0, &store.List{}
			continue
		}
		if err != nil {
			return nil, err
		}
		all.Items, all.ResourceVersion = append(all.Items, list.Items...), list.ResourceVersion
		if list.Continue == "" {
			return all, nil
		}
		page.Continue, page.ResourceVersion, page.ResourceVersionMatch = list.Continue, "", ""
	}
}

// object calls a method that answers with an object.
func (c *Client) object(ctx context.Context, k kinds.Kind, method string, req proto.Message) (store.Object, error) {
	out, ok := k.New().(store.Object)
	if !ok {
		return nil, notAnObject(k)
	}
	if err := c.conn.Invoke(ctx, methodOf(k, method), req, out); err != nil {
		return nil, apierror.FromStatus(err)
	}
	return out, nil
}

func methodOf(k kinds.Kind, method string) string { return "/" + string(k.Service) + "/" + method }

// newAnswer makes an empty answer of a method whose answer is of the kind's own type.
func newAnswer(k kinds.Kind, method protoreflect.Name) (protoreflect.Message, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(k.Service.Append(method))
	if err != nil {
		return nil, apierror.Internal(fmt.Errorf("client: %w", err))
	}
	md, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, apierror.Internal(fmt.Errorf("client: %s is no method", found.FullName()))
	}
	answer, err := protoregistry.GlobalTypes.FindMessageByName(md.Output().FullName())
	if err != nil {
		return nil, apierror.Internal(fmt.Errorf("client: answer of %s: %w", md.FullName(), err))
	}
	return answer.New(), nil
}

func notAnObject(k kinds.Kind) error {
	return apierror.Internal(fmt.Errorf("client: %s is no object", k.Message))
}

// Warnings tells of each warning that a server sends along with its answer.
func Warnings(tell func(string)) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		var header metadata.MD
		err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Header(&header))...)
		for _, w := range header.Get(wire.WarningKey) {
			tell(w)
		}
		return err
	}
}
