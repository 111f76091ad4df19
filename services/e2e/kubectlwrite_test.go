// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"strings"
	"testing"
)

// kubectlWrites are the commands that make and change objects.
func kubectlWrites() map[string]func(t *testing.T, k kubectlAt) {
	unknown := strings.Replace(broker("strict", "front"), "spec: {}", "spec: {nope: 1}", 1)
	return map[string]func(t *testing.T, k kubectlAt){
		"apply": steps(
			applied(broker("applied", "front")),
			step{args: args("apply --filename -"), stdin: broker("applied", "front"), wants: []string{"broker.eventing.knative.dev/applied unchanged"}},
			step{args: args("apply --filename -"), stdin: broker("applied", "back"), wants: []string{"broker.eventing.knative.dev/applied configured"}},
			step{args: args("get broker applied --output jsonpath={.metadata.labels.tier}/{.metadata.generation}"), wants: []string{"^back/1$"}},
			step{args: args("apply view-last-applied broker/applied"), wants: []string{"tier: back"}},
			step{args: args("apply --dry-run=server --filename -"), stdin: broker("tried", "front"), wants: []string{`created \(server dry run\)`}},
			step{args: args("get broker tried"), fails: true, wants: []string{"not found"}},
			step{args: args("apply --filename -"), stdin: unknown, fails: true, wants: []string{`unknown field "spec.nope"`}},
			step{args: args("apply --validate=warn --filename -"), stdin: unknown, wants: []string{`Warning: unknown field "spec.nope"`, "created"}},
			step{args: args("apply --filename -"), stdin: "apiVersion: eventing.knative.dev/v1\nkind: Brooker\nmetadata: {name: a}\n", fails: true, wants: []string{`no matches for kind "Brooker"`}},
			step{args: args("apply --filename -"), stdin: broker("Not_A_Name", "front"), fails: true, wants: []string{`metadata.name`}},
			step{args: args("apply --filename -"), stdin: "kind: [", fails: true, wants: []string{"yaml"}},
		),
		"apply server-side": steps(
			step{args: args("apply --server-side --filename -"), stdin: broker("by-server", "front"), wants: []string{"serverside-applied"}},
			step{args: args("apply --server-side --filename -"), stdin: broker("by-server", "back"), wants: []string{"serverside-applied"}},
			step{args: args("apply --server-side --field-manager other --filename -"), stdin: broker("by-server", "side"), fails: true, wants: []string{`(?i)conflict`, "metadata.labels.tier"}},
			step{args: args("apply --server-side --field-manager other --force-conflicts --filename -"), stdin: broker("by-server", "side"), wants: []string{"serverside-applied"}},
			step{args: args("get broker by-server --show-managed-fields --output yaml"), wants: []string{"manager: other", "operation: Apply", "f:tier"}},
			step{args: args("apply --server-side --dry-run=server --filename -"), stdin: broker("by-server", "dry"), fails: true, wants: []string{"(?i)conflict"}},
			step{args: args("apply --server-side --filename -"), stdin: unknown, fails: true, wants: []string{`(unknown field|field not declared).*nope|nope.*(unknown field|field not declared)`}},
		),
		"create": steps(
			step{args: args("create --filename -"), stdin: broker("created", "front"), wants: []string{"broker.eventing.knative.dev/created created"}},
			step{args: args("create --filename -"), stdin: broker("created", "front"), fails: true, wants: []string{`AlreadyExists.*brokers.eventing.knative.dev "created" already exists`}},
			step{args: args("create --filename -"), stdin: strings.Replace(broker("x", "front"), "name: x", "generateName: made-", 1), wants: []string{`broker.eventing.knative.dev/made-\w{5} created`}},
			step{args: args("create configmap settings --from-literal a=b"), wants: []string{"configmap/settings created"}},
			step{args: args("get configmap settings --output jsonpath={.data.a}"), wants: []string{"^b$"}},
			step{args: args("create --dry-run=server --filename -"), stdin: broker("tried-too", "front"), wants: []string{`created \(server dry run\)`}},
			step{args: args("create --filename -"), stdin: strings.Replace(unknown, "strict", "strict-too", 1), fails: true, wants: []string{`unknown field "spec.nope"`}},
			step{args: args("create --validate=false --filename -"), stdin: strings.Replace(unknown, "strict", "ignored", 1), wants: []string{"ignored created"}},
			step{args: args("create --filename -"), stdin: strings.Replace(trigger("half", "one", ""), "subscriber:", "# ", 1) + "}\n", fails: true, wants: []string{"spec.subscriber|subscriber"}},
			step{args: args("create --namespace no-such-place --filename -"), stdin: broker("a", "b"), fails: true, wants: []string{`namespaces "no-such-place" not found`}},
		),
		"edit": kubectlEdit,
		"patch": steps(
			applied(broker("patched", "front")),
			step{args: []string{"patch", "broker", "patched", "--type", "merge", "--patch", `{"metadata":{"annotations":{"note":"merged"}}}`}, wants: []string{"patched"}},
			step{args: []string{"patch", "broker", "patched", "--type", "json", "--patch", `[{"op":"replace","path":"/metadata/annotations/note","value":"json"}]`}, wants: []string{"patched"}},
			step{args: args("get broker patched --output jsonpath={.metadata.annotations.note}"), wants: []string{"^json$"}},
			step{args: []string{"patch", "broker", "patched", "--type", "merge", "--patch", `{"metadata":{"annotations":{"note":"json"}}}`}, wants: []string{`patched \(no change\)`}},
			step{args: []string{"patch", "broker", "patched", "--dry-run=server", "--type", "merge", "--patch", `{"metadata":{"labels":{"tier":"dry"}}}`}, wants: []string{"patched"}},
			step{args: args("get broker patched --output jsonpath={.metadata.labels.tier}"), wants: []string{"^front$"}},
			step{args: []string{"patch", "ksvc", "web", "--subresource", "status", "--type", "merge", "--patch", `{"spec":{"template":{}}}`}, wants: []string{"patched"}},
			step{args: args("get ksvc web --output jsonpath={.metadata.generation}"), wants: []string{"^1$"}},
			step{args: []string{"patch", "broker", "patched", "--patch", `{"metadata":{"labels":{"a":"b"}}}`}, fails: true, wants: []string{`strategic-merge-patch\+json is not supported`, "application/merge-patch\\+json"}},
			step{args: []string{"patch", "broker", "patched", "--type", "json", "--patch", `[{"op":"remove","path":"/metadata/annotations/absent"}]`}, fails: true, wants: []string{`(?i)invalid|the server rejected`}},
			step{args: []string{"patch", "broker", "patched", "--type", "json", "--patch", `[{"op":"nonsense","path":"/a"}]`}, fails: true, wants: []string{"nonsense|(?i)invalid"}},
			step{args: []string{"patch", "broker", "patched", "--type", "merge", "--patch", `{"metadata":{"name":"other"}}`}, fails: true, wants: []string{"name"}},
			step{args: []string{"patch", "broker", "absent", "--type", "merge", "--patch", `{}`}, fails: true, wants: []string{`"absent" not found`}},
		),
		"label": steps(
			applied(broker("labelled", "front")),
			step{args: args("label broker labelled color=red"), wants: []string{"labeled"}},
			step{args: args("label broker labelled --list"), wants: []string{"color=red", "tier=front"}},
			step{args: args("label broker labelled color=blue"), fails: true, wants: []string{"already has a value"}},
			step{args: args("label broker labelled color=blue --overwrite"), wants: []string{"labeled"}},
			step{args: args("label brokers --selector color=blue size=big"), wants: []string{"labelled labeled"}},
			step{args: args("label broker labelled color-"), wants: []string{"unlabeled"}},
			step{args: args("label broker labelled color=blue --resource-version 1"), fails: true, wants: []string{"Conflict|modified"}},
			step{args: args("label broker labelled color=not/a/value"), fails: true, wants: []string{"(?i)invalid"}},
		),
		"annotate": steps(
			applied(broker("annotated", "front")),
			step{args: args("annotate broker annotated note=hello"), wants: []string{"annotated"}},
			step{args: args("annotate broker annotated note=again"), fails: true, wants: []string{"already has a value"}},
			step{args: args("annotate broker annotated note=again --overwrite"), wants: []string{"annotated"}},
			step{args: args("annotate broker annotated --list"), wants: []string{"note=again"}},
			step{args: args("annotate broker annotated note-"), wants: []string{"annotated"}},
			step{args: args("annotate broker absent note=hello"), fails: true, wants: []string{`"absent" not found`}},
		),
		"diff": steps(
			applied(broker("compared", "front")),
			step{args: args("diff --filename -"), stdin: broker("compared", "front")},
			step{args: args("diff --filename -"), stdin: broker("compared", "back"), fails: true, wants: []string{`-\s+tier: front`, `\+\s+tier: back`}},
			step{args: args("diff --server-side --force-conflicts --filename -"), stdin: broker("compared", "back"), fails: true, wants: []string{`\+\s+tier: back`}},
			step{args: args("diff --filename -"), stdin: broker("brand-new", "back"), fails: true, wants: []string{`\+\s+name: brand-new`}},
			step{args: args("diff --filename -"), stdin: unknown, fails: true, wants: []string{`spec.nope`}},
		),
		"replace": steps(
			applied(broker("replaced", "front")),
			step{args: args("replace --filename -"), stdin: broker("replaced", "back"), wants: []string{"replaced replaced"}},
			step{args: args("get broker replaced --output jsonpath={.metadata.labels.tier}"), wants: []string{"^back$"}},
			step{args: args("replace --filename -"), stdin: strings.Replace(broker("replaced", "back"), "labels:", "resourceVersion: '1', labels:", 1), fails: true, wants: []string{"Conflict"}},
			step{args: args("replace --force --filename -"), stdin: broker("replaced", "side"), wants: []string{"deleted", "replaced"}},
			step{args: args("get broker replaced --output jsonpath={.metadata.labels.tier}"), wants: []string{"^side$"}},
			step{args: args("replace --filename -"), stdin: broker("absent", "back"), fails: true, wants: []string{`"absent" not found`}},
		),
	}
}

// kubectlEdit has an editor that is a program.
func kubectlEdit(t *testing.T, k kubectlAt) {
	runSteps(t, k.run, []step{applied(broker("edited", "front"))})
	editor := func(program string) kubectlAt {
		k.env = []string{"KUBE_EDITOR=" + program}
		return k
	}
	edit := args("edit broker edited")
	runSteps(t, editor("sed -i s/front/back/").run, []step{
		{args: edit, wants: []string{"broker.eventing.knative.dev/edited edited"}},
		{args: args("get broker edited --output jsonpath={.metadata.labels.tier}"), wants: []string{"^back$"}},
	})
	runSteps(t, editor("true").run, []step{{args: edit, wants: []string{"Edit cancelled, no changes made"}}})
	runSteps(t, editor("sed -i s/tier:/tier/").run, []step{{args: edit, fails: true, wants: []string{"(?i)error"}}})
	runSteps(t, editor("sed -i 's/tier: back/tier: not_a.value-/'").run, []step{{args: edit, fails: true, wants: []string{"(?i)invalid"}}})
	runSteps(t, k.run, []step{{args: args("edit broker absent"), fails: true, wants: []string{`"absent" not found`}}})
}
