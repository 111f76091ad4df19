// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
)

// noPods denies everyone the right to create pods.
type noPods struct{}

func (noPods) MayCreatePods(context.Context, *rpc.Identity, string) error {
	return apierror.Forbidden(apierror.Resource{Plural: "pods"}, "", "no right")
}

func TestPowerTakesTheRightToCreatePods(t *testing.T) {
	const spec = "{hostNetwork: true, containers: [{image: a, securityContext: {privileged: true}}]}"
	const fields = "spec.template.spec.hostNetwork, spec.template.spec.containers[0].securityContext.privileged"
	const key = "container.apparmor.security.beta.kubernetes.io/a"
	service := read(t, &servingv1.Service{}, "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: hello}\nspec: {template: {spec: "+spec+"}}")
	plain := read(t, &servingv1.Service{}, "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: hello}\nspec: {template: {spec: {containers: [{image: a}]}}}")
	configuration := read(t, &servingv1.Configuration{}, "apiVersion: serving.knative.dev/v1\nkind: Configuration\nmetadata: {name: hello}\nspec: {template: {spec: "+spec+"}}")
	revision := read(t, &servingv1.Revision{}, "apiVersion: serving.knative.dev/v1\nkind: Revision\nmetadata: {name: hello}\nspec: "+spec)
	image := proto.CloneOf(service)
	image.Spec.Template.Spec.PodSpec.Containers[0].Image = "b"
	traffic := proto.CloneOf(service)
	traffic.Spec.Traffic = []*servingv1.TrafficTarget{{Percent: proto.Int64(100)}}
	annotated := proto.CloneOf(revision)
	annotated.Metadata = &metav1.ObjectMeta{Annotations: map[string]string{key: "unconfined"}}
	ks, err := ServingKinds()
	if err != nil {
		t.Fatal(err)
	}
	r := rules()
	r.AllowNodePower, r.Access = true, noPods{}
	for _, tc := range []struct {
		reason   string
		kind     int
		obj, old store.Object
		want     string
	}{
		{"a new service", 0, service, nil, fields},
		{"another image gets the power there is", 0, image, service, fields},
		{"a service that gets power", 0, service, plain, fields},
		{"requests elsewhere change no pod", 0, traffic, service, ""},
		{"power that goes", 0, plain, service, ""},
		{"a service without power", 0, plain, nil, ""},
		{"a new configuration", 1, configuration, nil, fields},
		{"a new revision", 2, revision, nil, "spec.hostNetwork, spec.containers[0].securityContext.privileged"},
		{"a revision that is there", 2, revision, revision, ""},
		{"a revision that gets power by an annotation", 2, annotated, revision, "metadata.annotations[" + key + "]"},
	} {
		ctx := rpc.WithIdentity(t.Context(), &rpc.Identity{User: "ada"})
		err := r.Handlers(ks)[tc.kind].Authorize(ctx, tc.obj, tc.old)
		if tc.want == "" && err != nil || tc.want != "" && (!apierror.Is(err, apierror.ReasonForbidden) || !strings.Contains(err.Error(), tc.want+":")) {
			t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
		}
	}
}
