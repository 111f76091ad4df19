// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package matrix calls every RPC of a server as everybody, and tells where somebody is let in or kept out who should not
// be. What is expected is derived from the descriptors of the RPCs; those that are no verb of a kind have a row in Rows.
package matrix

import (
	"fmt"
	"slices"
	"strings"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
)

// Right is what a call needs. The zero Right is none.
type Right struct {
	Verb, Group, Resource string
	// Also is a verb that is needed too: `create`, where what is not there is made.
	Also string
	// Namespaced tells that it is needed in the request's namespace, and can be given in one.
	Namespaced bool
}

// Row is an RPC that is no verb of a kind.
type Row struct {
	// Method is its name, as `/SERVICE/METHOD`.
	Method string
	// Open RPCs need no caller; of others, those without a Right are for every caller.
	Open bool
	// Right is what the call needs.
	Right Right
	// ByRequest tells that the method itself asks for the right, by what the request says: its descriptor says that it is
	// for every caller.
	ByRequest bool
	// Refusal is in the answer of a cluster that refuses what Fairlead let in, since it asks for a right of its own.
	Refusal string
	// Lasts tells that nothing need come before the caller ends the stream.
	Lasts bool
	// Request is a small request for a namespace that changes nothing.
	Request func(namespace string) proto.Message
}

// Rows are the RPCs that are no verbs of kinds.
func Rows() []Row {
	request := func(m proto.Message) func(string) proto.Message {
		return func(string) proto.Message { return proto.Clone(m) }
	}
	const authGroup = "auth.fairlead.dev"
	return []Row{
		{Method: healthv1.Health_Check_FullMethodName, Open: true, Request: request(&healthv1.HealthCheckRequest{})},
		{Method: healthv1.Health_List_FullMethodName, Open: true, Request: request(&healthv1.HealthListRequest{})},
		{Method: healthv1.Health_Watch_FullMethodName, Open: true, Request: request(&healthv1.HealthCheckRequest{})},
		{Method: reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName, Open: true, Request: request(&reflectionv1.ServerReflectionRequest{})},
		{Method: reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName, Open: true, Request: request(&reflectionv1alpha.ServerReflectionRequest{})}, //nolint:staticcheck // registered beside v1 for older clients

		{Method: authv1.TokenService_Keys_FullMethodName, Open: true, Request: request(&authv1.KeysRequest{})},
		{Method: authv1.TokenService_SignIn_FullMethodName, Open: true, Request: request(&authv1.SignInRequest{})},
		{Method: authv1.TokenService_WhoAmI_FullMethodName, Request: request(&authv1.WhoAmIRequest{})},
		{Method: authv1.AccessService_Review_FullMethodName, Request: request(&authv1.ReviewRequest{Verb: "get", Path: "/x"})},
		{Method: authv1.AccessService_Rules_FullMethodName, Request: func(ns string) proto.Message { return &authv1.RulesRequest{Namespace: ns} }},
		{
			Method: authv1.TokenService_Issue_FullMethodName, Right: Right{Verb: "create", Group: authGroup, Resource: "tokens"},
			Request: request(&authv1.IssueRequest{User: "matrix-nobody", ExpirationSeconds: 1}),
		},
		{
			Method: authv1.TokenService_Kubeconfig_FullMethodName, Right: Right{Verb: "create", Group: authGroup, Resource: "tokens"},
			Request: request(&authv1.KubeconfigRequest{User: "matrix-nobody", ExpirationSeconds: 1}),
		},
		{
			Method: authv1.TokenService_Revoke_FullMethodName, Right: Right{Verb: "delete", Group: authGroup, Resource: "tokens"},
			Request: request(&authv1.RevokeRequest{Id: "nothing"}),
		},
		{
			Method: authv1.TokenService_IssueForServiceAccount_FullMethodName, Right: Right{Verb: "create", Group: authGroup, Resource: "serviceaccounts/token", Namespaced: true}, Refusal: "the Kubernetes behind",
			Request: func(ns string) proto.Message {
				return &authv1.IssueForServiceAccountRequest{Namespace: ns, Name: absent}
			},
		},
		{
			Method: authv1.TokenService_KubeconfigForServiceAccount_FullMethodName, Right: Right{Verb: "create", Group: authGroup, Resource: "serviceaccounts/token", Namespaced: true}, Refusal: "the Kubernetes behind",
			Request: func(ns string) proto.Message {
				return &authv1.KubeconfigForServiceAccountRequest{Namespace: ns, Name: absent}
			},
		},
		{
			Method: authv1.AccessService_ReviewSubject_FullMethodName, Right: Right{Verb: "create", Group: "authorization.k8s.io", Resource: "subjectaccessreviews"},
			Request: request(&authv1.ReviewSubjectRequest{Subject: &authv1.ReviewedSubject{User: "matrix-nobody"}, Review: &authv1.ReviewRequest{Verb: "get", Path: "/x"}}),
		},
		{
			Method: authv1.AccessService_ReviewLocalSubject_FullMethodName, Right: Right{Verb: "create", Group: "authorization.k8s.io", Resource: "localsubjectaccessreviews", Namespaced: true},
			Request: func(ns string) proto.Message {
				return &authv1.ReviewLocalSubjectRequest{
					Namespace: ns, Subject: &authv1.ReviewedSubject{User: "matrix-nobody"}, Review: &authv1.ReviewRequest{Verb: "get", Resource: "builds", Namespace: ns},
				}
			},
		},
		{
			Method: authv1.TokenService_RotateKeys_FullMethodName, Right: Right{Verb: "update", Group: authGroup, Resource: "signingkeys"},
			Request: request(&authv1.RotateKeysRequest{}),
		},
		{
			Method: buildv1.LogService_Read_FullMethodName, Right: Right{Verb: "get", Group: "build.knative.dev", Resource: "builds/log", Namespaced: true},
			Request: func(ns string) proto.Message { return &buildv1.LogServiceReadRequest{Namespace: ns, Name: absent} },
		},
		{
			Method: servingv1.RouterService_Sync_FullMethodName, Right: Right{Verb: "update", Group: "serving.fairlead.dev", Resource: "routers"},
			Request: request(&servingv1.RouterServiceSyncRequest{}), Lasts: true,
		},
		{
			Method: eventingv1.DispatcherService_Sync_FullMethodName, Right: Right{Verb: "update", Group: "eventing.fairlead.dev", Resource: "dispatchers"},
			Request: request(&eventingv1.DispatcherServiceSyncRequest{}), Lasts: true,
		},
		{
			Method: metav1.ApplyService_Apply_FullMethodName, Right: Right{Verb: "patch", Also: "create", Group: "eventing.knative.dev", Resource: "brokers", Namespaced: true}, ByRequest: true,
			Request: func(ns string) proto.Message {
				return &metav1.ApplyRequest{Namespace: ns, DryRun: dryRun(), Documents: document("eventing.knative.dev/v1", "Broker", ns)}
			},
		},
	}
}

// absent is the name of an object that is not there.
const absent = "matrix-absent"

func dryRun() []string { return []string{"All"} }

func document(apiVersion, kind, namespace string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"namespace":%q}}`, apiVersion, kind, absent, namespace)
}

// kindRights are the rights that the verbs of kinds need.
func kindRights() map[string]Right {
	return map[string]Right{
		"Create": {Verb: "create"}, "Get": {Verb: "get"}, "List": {Verb: "list"}, "Watch": {Verb: "watch"},
		"Update": {Verb: "update"}, "UpdateStatus": {Verb: "update", Resource: "/status"}, "Patch": {Verb: "patch"}, "Prepare": {Verb: "patch", Also: "create"},
		"Delete": {Verb: "delete"}, "DeleteCollection": {Verb: "deletecollection"},
		"History": {Verb: "get"}, "Rollback": {Verb: "update"},
	}
}

// RowsOf returns a row for each method of the services, and a fault for each that has none.
func RowsOf(services []protoreflect.FullName) ([]Row, []error) {
	byHand := map[string]Row{}
	for _, r := range Rows() {
		byHand[r.Method] = r
	}
	var rows []Row
	var faults []error
	for _, name := range services {
		desc, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("service %s: %w; import its package", name, err))
			continue
		}
		service, ok := desc.(protoreflect.ServiceDescriptor)
		if !ok {
			faults = append(faults, fmt.Errorf("%s is no service", name))
			continue
		}
		kind, ofKind := kinds.ByService(name)
		for i := range service.Methods().Len() {
			md := service.Methods().Get(i)
			full := fmt.Sprintf("/%s/%s", name, md.Name())
			row, ok := byHand[full]
			if !ok && ofKind {
				row, ok = rowOfKind(kind, md, full)
			}
			if !ok {
				faults = append(faults, fmt.Errorf("%s has no row: say in services/e2e/matrix/rows.go which right it needs", full))
				continue
			}
			if err := agrees(row, md, ofKind); err != nil {
				faults = append(faults, err)
			}
			rows = append(rows, row)
		}
	}
	return rows, faults
}

// agrees tells where a row and the method's own option say different things.
func agrees(row Row, md protoreflect.MethodDescriptor, ofKind bool) error {
	if ofKind || strings.HasPrefix(row.Method, "/grpc.") {
		return nil
	}
	access, _ := proto.GetExtension(md.Options(), metav1.E_Access).(*metav1.Access)
	says := Row{Open: access.GetOpen(), Right: Right{Verb: access.GetVerb(), Group: access.GetGroup(), Resource: access.GetResource()}}
	want := Row{Open: row.Open, Right: row.Right}
	want.Right.Namespaced = false
	if row.ByRequest {
		want.Right = Right{}
	}
	if says.Open != want.Open || says.Right != want.Right || !says.Open && says.Right == (Right{}) && !access.GetAuthenticated() {
		return fmt.Errorf("%s: its row says %+v, its option %v", row.Method, want.Right, access)
	}
	return nil
}

func rowOfKind(k kinds.Kind, md protoreflect.MethodDescriptor, full string) (Row, bool) {
	right, ok := kindRights()[string(md.Name())]
	if !ok {
		return Row{}, false
	}
	right.Group, right.Resource, right.Namespaced = k.Group, k.Plural+right.Resource, k.Namespaced
	return Row{Method: full, Right: right, Request: func(ns string) proto.Message { return requestOfKind(k, md, ns) }}, true
}

// requestOfKind makes a request that changes nothing, about an object that is not there.
func requestOfKind(k kinds.Kind, md protoreflect.MethodDescriptor, namespace string) proto.Message {
	if !k.Namespaced {
		namespace = ""
	}
	meta := &metav1.ObjectMeta{Namespace: namespace, Name: absent}
	switch md.Name() {
	case "Get":
		return &metav1.GetRequest{Namespace: namespace, Name: absent}
	case "List":
		return &metav1.ListRequest{Namespace: namespace}
	case "Watch":
		initial := true
		return &metav1.WatchRequest{
			Namespace: namespace, SendInitialEvents: &initial, AllowWatchBookmarks: true, ResourceVersionMatch: "NotOlderThan",
		}
	case "Patch":
		return &metav1.PatchRequest{
			Namespace: namespace, Name: absent, Patch: []byte("{}"), ContentType: "application/merge-patch+json", DryRun: dryRun(),
		}
	case "Prepare":
		return &metav1.PrepareRequest{Namespace: namespace, Name: absent, Document: document(k.APIVersion(), k.Kind, namespace)}
	case "Delete":
		return &metav1.DeleteRequest{Namespace: namespace, Name: absent, DryRun: dryRun()}
	case "DeleteCollection":
		return &metav1.DeleteCollectionRequest{Namespace: namespace, LabelSelector: "matrix=" + absent, DryRun: dryRun()}
	case "History":
		return &metav1.HistoryRequest{Namespace: namespace, Name: absent}
	case "Rollback":
		return &metav1.RollbackRequest{Namespace: namespace, Name: absent, DryRun: dryRun()}
	}
	object := k.New()
	object.ProtoReflect().Set(object.ProtoReflect().Descriptor().Fields().ByName("metadata"), protoreflect.ValueOfMessage(meta.ProtoReflect()))
	request := newMessage(md.Input())
	fields := request.Descriptor().Fields()
	request.Set(fields.ByName("object"), protoreflect.ValueOfMessage(object.ProtoReflect()))
	if f := fields.ByName("dry_run"); f != nil {
		request.Mutable(f).List().Append(protoreflect.ValueOfString(dryRun()[0]))
	}
	return request.Interface()
}

func newMessage(d protoreflect.MessageDescriptor) protoreflect.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		panic(err) // generated code registers each
	}
	return t.New()
}

// Services are the services that this program knows the descriptors of: all of Fairlead's, and those that come with gRPC.
func Services() []protoreflect.FullName {
	out := []protoreflect.FullName{
		protoreflect.FullName(healthv1.Health_ServiceDesc.ServiceName),
		protoreflect.FullName(reflectionv1.ServerReflection_ServiceDesc.ServiceName),
		protoreflect.FullName(reflectionv1alpha.ServerReflection_ServiceDesc.ServiceName),
	}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(f.Package()), "fairlead.") {
			for i := range f.Services().Len() {
				out = append(out, f.Services().Get(i).FullName())
			}
		}
		return true
	})
	slices.Sort(out)
	return out
}
