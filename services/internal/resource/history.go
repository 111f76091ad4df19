// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/apierror"
)

func (*server) serveHistory(context.Context, proto.Message, protoreflect.MessageType) (proto.Message, error) {
	return nil, apierror.New(apierror.ReasonMethodNotAllowed, "there is no history yet")
}

func (*server) serveRollback(context.Context, proto.Message, protoreflect.MessageType) (proto.Message, error) {
	return nil, apierror.New(apierror.ReasonMethodNotAllowed, "there is no history yet")
}

func (*server) servePrepare(context.Context, proto.Message, protoreflect.MessageType) (proto.Message, error) {
	return nil, apierror.New(apierror.ReasonMethodNotAllowed, "there is no atomic apply yet")
}
