// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import "testing"

// kubectlDeletions are the commands that delete.
func kubectlDeletions() map[string]func(t *testing.T, k kubectlAt) {
	return map[string]func(t *testing.T, k kubectlAt){
		"delete": steps(
			applied(broker("gone", "doomed")+"---\n"+broker("gone-too", "doomed")+"---\n"+broker("by-file", "file")),
			step{args: args("delete broker gone --dry-run=server"), wants: []string{`"gone" deleted.*\(server dry run\)`}},
			step{args: args("get broker gone --output name"), wants: []string{"broker.eventing.knative.dev/gone"}},
			step{args: args("delete brokers --selector tier=doomed --wait"), wants: []string{`"gone" deleted`, `"gone-too" deleted`}},
			step{args: args("get brokers --selector tier=doomed"), wants: []string{"No resources found"}},
			step{args: args("delete --filename -"), stdin: broker("by-file", "file"), wants: []string{`"by-file" deleted`}},
			step{args: args("delete broker by-file"), fails: true, wants: []string{`brokers.eventing.knative.dev "by-file" not found`}},
			step{args: args("delete broker by-file --ignore-not-found"), wants: []string{"^$"}},
			step{args: args("delete brokers"), fails: true, wants: []string{"resource\\(s\\) were provided, but no name was specified"}},
			step{args: args("delete broker x --cascade=nonsense"), fails: true, wants: []string{"invalid cascade value"}},
		),
		"delete all": func(t *testing.T, k kubectlAt) {
			k.namespace = namespace(t)
			runSteps(t, k.run, []step{
				applied(broker("a", "x") + "---\n" + broker("b", "x")),
				{args: args("delete brokers --all"), wants: []string{`"a" deleted`, `"b" deleted`}},
				{args: args("get brokers"), wants: []string{"No resources found"}},
			})
		},
		"delete with dependents": kubectlCascade,
		"delete with finalizer": steps(
			applied("apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: held, finalizers: [test.fairlead.dev/hold]}\nspec: {}\n"),
			step{args: args("delete broker held --wait=false"), wants: []string{`"held" deleted`}},
			step{args: args("get broker held --output jsonpath={.metadata.deletionTimestamp}"), wants: []string{`^\d{4}-`}},
			step{args: args("wait broker/held --for delete --timeout 1s"), fails: true, wants: []string{"timed out"}},
			step{args: []string{"patch", "broker", "held", "--type", "json", "--patch", `[{"op":"add","path":"/metadata/finalizers/-","value":"test.fairlead.dev/late"}]`}, fails: true, wants: []string{"(?i)forbidden|invalid"}},
			step{args: []string{"patch", "broker", "held", "--type", "merge", "--patch", `{"metadata":{"finalizers":null}}`}, wants: []string{"patched"}},
			step{args: args("wait broker/held --for delete --timeout 30s")},
		),
	}
}

// kubectlCascade deletes owners: what becomes of what they own is as the policy says.
func kubectlCascade(t *testing.T, k kubectlAt) {
	for _, policy := range []string{"background", "foreground", "orphan"} {
		owner, owned := "owner-"+policy, "owned-"+policy
		runSteps(t, k.run, []step{applied(broker(owner, "front"))})
		uid, err := k.run(t, "", "get", "broker", owner, "--output", "jsonpath={.metadata.uid}")
		if err != nil {
			t.Fatal(err, uid)
		}
		runSteps(t, k.run, []step{
			applied(trigger(owned, owner, uid)),
			{args: args("delete broker " + owner + " --timeout 60s --cascade=" + policy), wants: []string{"deleted"}},
		})
		if policy == "orphan" {
			runSteps(t, k.run, []step{
				{args: args("get trigger " + owned + " --output jsonpath={.metadata.name}{.metadata.ownerReferences}"), wants: []string{"^" + owned + "$"}},
			})
			continue
		}
		runSteps(t, k.run, []step{{args: args("wait trigger/" + owned + " --for delete --timeout 60s")}})
	}
}
