// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/rpc"
)

func parse(t *testing.T, yaml string) *buildv1.Build {
	t.Helper()
	data, err := codec.YAMLToJSON([]byte(yaml), codec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b := &buildv1.Build{}
	if _, err := codec.Unmarshal(data, b, codec.Options{Strict: true}); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDefaults(t *testing.T) {
	h := hooks{cfg: DefaultConfig()}
	b := parse(t, "spec: {steps: [{image: a}, {name: mine, image: a}, {image: a}]}")
	h.setDefaults(t.Context(), b, nil)
	want := parse(t, "spec: {timeout: 10m0s, steps: [{name: step-1, image: a}, {name: mine, image: a}, {name: step-3, image: a}]}")
	if !proto.Equal(want, b) {
		t.Errorf("defaults give %v, want %v", b, want)
	}
	if causes := h.validate(t.Context(), b, nil); len(causes) > 0 {
		t.Errorf("what defaults give has faults: %v", causes)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		reason, spec string
		want         []string
	}{
		{"no steps", "{}", []string{"spec.steps FieldValueRequired"}},
		{"a template", "{template: {name: kaniko, kind: ClusterBuildTemplate, arguments: [{name: IMAGE, value: a}]}}", nil},
		{"steps and a template", "{template: {name: kaniko}, steps: [{image: a}]}", []string{"spec FieldValueInvalid"}},
		{"names", "{steps: [{name: A, image: a}, {name: b, image: a}, {name: b, image: a}, {name: git-source, image: a}, {name: " + strings.Repeat("n", 59) + ", image: a}]}", []string{
			"spec.steps[0].name FieldValueInvalid", "spec.steps[2].name FieldValueDuplicate", "spec.steps[3].name FieldValueInvalid", "spec.steps[4].name FieldValueTooLong",
		}},
		{"no image", "{steps: [{name: a, image: ' '}]}", []string{"spec.steps[0].image FieldValueRequired"}},
		{"timeout of nothing", "{timeout: 0s, steps: [{name: a, image: a}]}", []string{"spec.timeout FieldValueInvalid"}},
		{"timeout of more than a day", "{timeout: 24h1s, steps: [{name: a, image: a}]}", []string{"spec.timeout FieldValueInvalid"}},
		{"a day", "{timeout: 24h, steps: [{name: a, image: a}]}", nil},
		{"no repository", "{source: {}, steps: [{name: a, image: a}]}", []string{"spec.source.git FieldValueRequired"}},
		{"no url, no revision", "{source: {git: {}}, steps: [{name: a, image: a}]}", []string{"spec.source.git.url FieldValueRequired", "spec.source.git.revision FieldValueRequired"}},
		{"ssh", "{source: {git: {url: 'git@github.com:a/b.git', revision: v1.2}, subPath: a/b}, steps: [{name: a, image: a}]}", nil},
		{"a local folder", "{source: {git: {url: /etc, revision: a}}, steps: [{name: a, image: a}]}", []string{"spec.source.git.url FieldValueInvalid"}},
		{"a file", "{source: {git: {url: 'file:///etc', revision: a}}, steps: [{name: a, image: a}]}", []string{"spec.source.git.url FieldValueInvalid"}},
		{"a password", "{source: {git: {url: 'https://a:b@c/d', revision: a}}, steps: [{name: a, image: a}]}", []string{"spec.source.git.url FieldValueInvalid"}},
		{"a flag as revision", "{source: {git: {url: 'https://c/d', revision: --upload-pack=x}}, steps: [{name: a, image: a}]}", []string{"spec.source.git.revision FieldValueInvalid"}},
		{"ways out of the source", "{source: {git: {url: 'https://c/d', revision: a}, subPath: a/../..}, steps: [{name: a, image: a}]}", []string{"spec.source.subPath FieldValueInvalid"}},
		{"volumes", "{volumes: [{name: fairlead-x, emptyDir: {}}, {name: v, emptyDir: {}}, {name: v, emptyDir: {}}], steps: [{name: a, image: a}]}", []string{
			"spec.volumes[0].name FieldValueInvalid", "spec.volumes[2].name FieldValueDuplicate",
		}},
		{"mounts", "{volumes: [{name: v, emptyDir: {}}], steps: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /workspace/}, {name: w, mountPath: /w}, {name: v, mountPath: /fairlead/bin}]}]}", []string{
			"spec.steps[0].volumeMounts[0].mountPath FieldValueInvalid", "spec.steps[0].volumeMounts[1].name FieldValueInvalid", "spec.steps[0].volumeMounts[2].mountPath FieldValueInvalid",
		}},
		{"more than the limit", "{steps: [{name: a, image: a, resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}]}", []string{
			"spec.steps[0].resources.requests[memory] FieldValueInvalid",
		}},
		{"what means nothing for steps", "{steps: [{name: a, image: a, tty: true, livenessProbe: {httpGet: {port: 80}}}]}", []string{
			"spec.steps[0].livenessProbe FieldValueForbidden", "spec.steps[0].tty FieldValueForbidden",
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			var got []string
			for _, cause := range (hooks{cfg: DefaultConfig()}).validate(t.Context(), parse(t, "spec: "+c.spec), nil) {
				got = append(got, cause.Field+" "+cause.Reason)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// What is no duration does not get through JSON, but does over gRPC.
func TestTimeoutThatIsNone(t *testing.T) {
	if got := validateTimeout("soon"); len(got) != 1 || got[0].Field != "spec.timeout" {
		t.Errorf("faults %v, want one at spec.timeout", got)
	}
}

func TestNodePower(t *testing.T) {
	b := parse(t, `spec:
  volumes: [{name: h, hostPath: {path: /}}, {name: e, emptyDir: {}}]
  steps:
  - {name: a, image: a, ports: [{containerPort: 1, hostPort: 1}], securityContext: {privileged: true, capabilities: {add: [SYS_ADMIN, CHOWN], drop: [ALL]}, procMount: Unmasked}}
  - {name: b, image: a, securityContext: {seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}, seLinuxOptions: {type: spc_t, user: u, role: r}, windowsOptions: {hostProcess: true}}}
  - {name: c, image: a, securityContext: {runAsUser: 0, privileged: false, seccompProfile: {type: RuntimeDefault}}}
`)
	fields := func(allow bool) []string {
		cfg := DefaultConfig()
		cfg.AllowNodePower = allow
		var out []string
		for _, c := range (hooks{cfg: cfg}).validate(t.Context(), b, nil) {
			out = append(out, c.Field)
		}
		slices.Sort(out)
		return out
	}
	if got := fields(true); len(got) > 0 {
		t.Errorf("faults although it is allowed: %v", got)
	}
	want := []string{
		"spec.steps[0].ports[0].hostPort", "spec.steps[0].securityContext.capabilities.add[0]", "spec.steps[0].securityContext.privileged",
		"spec.steps[0].securityContext.procMount", "spec.steps[1].securityContext.appArmorProfile.type", "spec.steps[1].securityContext.seLinuxOptions.role",
		"spec.steps[1].securityContext.seLinuxOptions.type", "spec.steps[1].securityContext.seLinuxOptions.user",
		"spec.steps[1].securityContext.seccompProfile.type", "spec.steps[1].securityContext.windowsOptions.hostProcess", "spec.volumes[0].hostPath",
	}
	if diff := cmp.Diff(want, fields(false)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestSpecStays(t *testing.T) {
	const was = "spec: {timeout: 1m, steps: [{name: a, image: a}]}"
	const cancelled = "spec: {timeout: 1m, status: BuildCancelled, steps: [{name: a, image: a}]}"
	for _, c := range []struct {
		reason, was, is string
		want            []string
	}{
		{"nothing new", was, was, nil},
		{"cancelled", was, cancelled, nil},
		{"taken back", cancelled, was, []string{"spec.status"}},
		{"another image", was, "spec: {timeout: 1m, steps: [{name: a, image: b}]}", []string{"spec"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			var got []string
			for _, cause := range (hooks{cfg: DefaultConfig()}).validate(t.Context(), parse(t, c.is), parse(t, c.was)) {
				got = append(got, cause.Field)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	cfg := DefaultConfig()
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "stepImage") {
		t.Errorf("error %v, want one about stepImage", err)
	}
	cfg.StepImage = "a"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	cfg.Workers, cfg.PullTimeout = 0, -1
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "workers") || !strings.Contains(err.Error(), "pullTimeout") {
		t.Errorf("error %v, want every fault", err)
	}
}

// askedFor remembers in which namespaces somebody asked for the right to create pods, and denies it.
type askedFor struct{ namespaces *[]string }

func (a askedFor) MayCreatePods(_ context.Context, _ *rpc.Identity, namespace string) error {
	*a.namespaces = append(*a.namespaces, namespace)
	return apierror.Forbidden(apierror.Resource{Plural: "pods"}, "", "no right")
}

func TestNodePowerTakesTheRightToCreatePods(t *testing.T) {
	powerful := parse(t, "spec: {volumes: [{name: h, hostPath: {path: /}}], steps: [{name: a, image: a, securityContext: {privileged: true}}]}")
	plain := parse(t, "spec: {steps: [{name: a, image: a}]}")
	powerful.Metadata, plain.Metadata = &metav1.ObjectMeta{Namespace: "shop"}, &metav1.ObjectMeta{Namespace: "shop"}
	var asked []string
	h := hooks{cfg: DefaultConfig(), access: askedFor{&asked}}
	h.cfg.AllowNodePower = true
	ctx := rpc.WithIdentity(t.Context(), &rpc.Identity{User: "ada"})
	err := h.authorize(ctx, powerful, nil)
	if !apierror.Is(err, apierror.ReasonForbidden) || !strings.Contains(err.Error(), "spec.volumes[0].hostPath, spec.steps[0].securityContext.privileged") {
		t.Errorf("without the right: %v", err)
	}
	for reason, err := range map[string]error{
		"a build without power": h.authorize(ctx, plain, nil), "a build that is there": h.authorize(ctx, powerful, powerful), "a build of our own": h.authorize(t.Context(), powerful, nil),
	} {
		if err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if len(asked) != 1 || asked[0] != "shop" {
		t.Errorf("asked for %v", asked)
	}
}
