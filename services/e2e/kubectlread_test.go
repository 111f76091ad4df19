// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bufio"
	"context"
	"regexp"
	"testing"
)

// kubectlReads are the commands that change nothing.
func kubectlReads() map[string]func(t *testing.T, k kubectlAt) {
	return map[string]func(t *testing.T, k kubectlAt){
		"get": kubectlGet, "get watch": kubectlWatch, "raw": kubectlRaw, "describe": kubectlDescribe, "explain": kubectlExplain,
		"api-resources": steps(
			step{args: args("api-resources"), wants: []string{`services\s+kservice,ksvc\s+serving.knative.dev/v1\s+true\s+Service`, `pods\s+po\s+v1`, `builds`}},
			step{args: args("api-resources --api-group serving.knative.dev --output name"), wants: []string{`(?m)^routes.serving.knative.dev$`}},
			step{args: args("api-resources --categories knative --no-headers"), wants: []string{"brokers", "revisions", "configurations"}},
			step{args: args("api-resources --api-group serving.knative.dev --output wide"), wants: []string{`create,delete,deletecollection,get,list,patch,update,watch\s+all,knative,serving`}},
			step{args: args("api-resources --sort-by nonsense"), fails: true, wants: []string{"sort-by accepts only name or kind"}},
		),
		"api-versions": steps(
			step{args: args("api-versions"), wants: []string{`(?m)^serving.knative.dev/v1$`, `(?m)^eventing.knative.dev/v1$`, `(?m)^apps/v1$`, `(?m)^v1$`}},
		),
		"cluster-info": steps(
			step{args: args("cluster-info"), wants: []string{"control plane.* is running at"}},
			step{args: args("version"), wants: []string{"Server Version: v1"}},
		),
		"auth": steps(
			step{args: args("auth can-i create brokers.eventing.knative.dev"), wants: []string{"(?m)^yes$"}},
			step{args: args("auth can-i update ksvc/web --subresource status"), wants: []string{"(?m)^yes$"}},
			step{args: args("auth can-i list pods"), wants: []string{"(?m)^yes$"}},
			step{args: args("auth can-i --list"), wants: []string{`Resources\s+Non-Resource URLs`, `\*\.\*`}},
			step{args: args("auth whoami"), wants: []string{`Username\s+\S+`}},
			step{args: args("auth can-i"), fails: true, wants: []string{"you must specify two arguments"}},
		),
		"wait": steps(
			applied(broker("waited", "front")),
			step{args: args("wait broker/waited --for condition=Ready --timeout 60s"), wants: []string{"condition met"}},
			step{args: args("wait broker/waited --for jsonpath={.metadata.labels.tier}=front --timeout 30s"), wants: []string{"condition met"}},
			step{args: args("wait broker/waited --for condition=Ready=False --timeout 1s"), fails: true, wants: []string{"timed out waiting for the condition"}},
			step{args: args("delete broker waited --wait=false"), wants: []string{"deleted"}},
			step{args: args("wait broker/waited --for delete --timeout 60s")},
			step{args: args("wait broker/absent --for condition=Ready --timeout 1s"), fails: true, wants: []string{`brokers.eventing.knative.dev "absent" not found`}},
		),
	}
}

func kubectlGet(t *testing.T, k kubectlAt) {
	runSteps(t, k.run, []step{
		applied(broker("one", "read-front") + "---\n" + broker("two", "read-back") + "---\n" + trigger("from-one", "one", "")),
		{args: args("get ksvc"), wants: []string{`NAME\s+URL\s+LATESTCREATED\s+LATESTREADY\s+READY`, `web\s+http://web\.\S+\s+web-00001\s+web-00001\s+True`}},
		{args: args("get ksvc,cfg,rev,rt"), wants: []string{
			"service.serving.knative.dev/web ", "configuration.serving.knative.dev/web ", "revision.serving.knative.dev/web-00001 ", "route.serving.knative.dev/web ",
		}},
		{args: args("get knative --output name"), wants: []string{"revision.serving.knative.dev/web-00001", "route.serving.knative.dev/web", "broker.eventing.knative.dev/one"}},
		{args: args("get serving --output name"), wants: []string{"service.serving.knative.dev/web", "configuration.serving.knative.dev/web"}},
		{args: args("get eventing --output name"), wants: []string{"broker.eventing.knative.dev/one", "trigger.eventing.knative.dev/from-one"}},
		{args: args("get all --output name"), wants: []string{"pod/box", "service.serving.knative.dev/web"}},
		{args: args("get pods,brokers --output name"), wants: []string{"pod/box", "broker.eventing.knative.dev/one"}},
		{args: args("get ksvc web --output wide"), wants: []string{`NAME\s+URL`}},
		{args: args("get ksvc web --output yaml"), wants: []string{"apiVersion: serving.knative.dev/v1", "observedGeneration: 1"}},
		{args: args("get ksvc web --output json"), wants: []string{`"kind": "Service"`}},
		{args: args("get brokers --output yaml"), wants: []string{"kind: List", "kind: Broker"}},
		{args: args("get ksvc web --output jsonpath={.status.latestReadyRevisionName}"), wants: []string{"^web-00001$"}},
		{args: args("get brokers one --output custom-columns=WHO:.metadata.name,TIER:.metadata.labels.tier"), wants: []string{`WHO\s+TIER`, `one\s+read-front`}},
		{args: args("get brokers --selector tier=read-front --no-headers"), wants: []string{`^one\s`}},
		{args: args("get brokers --selector tier=nowhere"), wants: []string{"No resources found"}},
		{args: args("get brokers --field-selector metadata.name=two --no-headers"), wants: []string{`^two\s`}},
		{args: args("get brokers one --show-labels"), wants: []string{"LABELS", "tier=read-front"}},
		{args: args("get brokers one two --label-columns tier"), wants: []string{"TIER", `one.*read-front`, `two.*read-back`}},
		{args: args("get brokers --chunk-size 1 --output name"), wants: []string{"/one\n", "/two\n"}},
		{args: args("get brokers --sort-by {.metadata.name}"), wants: []string{`(?s)one.*two`}},
		{args: args("get brokers --all-namespaces"), wants: []string{"NAMESPACE", k.namespace + `\s+one`}},
		{args: args("get broker absent"), fails: true, wants: []string{`brokers.eventing.knative.dev "absent" not found`}},
		{args: args("get broker absent --ignore-not-found"), wants: []string{"^$"}},
		{args: args("get brookers"), fails: true, wants: []string{`the server doesn't have a resource type "brookers"`}},
		{args: args("get brokers --selector a=b=c"), fails: true, wants: []string{`BadRequest`, `found '=', expected: ',' or 'end of string'`}},
		{args: args("get brokers --field-selector spec.a=b"), fails: true, wants: []string{"BadRequest", "field label not supported: spec.a"}},
		{args: args("get brokers --output jsonpath={.items[}"), fails: true, wants: []string{"error parsing jsonpath"}},
	})
}

// kubectlWatch has a watch tell of what others do.
func kubectlWatch(t *testing.T, k kubectlAt) {
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	watch := k.command(ctx, args("get brokers --watch --output-watch-events --selector watched=yes")...)
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = watch.Wait()
	}()
	document := "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: watched, labels: {watched: 'yes'}}\nspec: {}\n"
	runSteps(t, k.run, []step{applied(document), {args: args("label broker watched watched-")}})
	lines := bufio.NewScanner(out)
	for _, want := range []string{`EVENT\s+NAME\s+URL\s+READY`, `ADDED\s+watched`, `DELETED\s+watched`} {
		for {
			if !lines.Scan() {
				t.Fatalf("the watch ended before %q: %v", want, lines.Err())
			}
			if regexp.MustCompile(want).MatchString(lines.Text()) {
				break
			}
		}
	}
}

// kubectlRaw asks for what no command of kubectl asks for.
func kubectlRaw(t *testing.T, k kubectlAt) {
	brokers := "/apis/eventing.knative.dev/v1/namespaces/" + k.namespace + "/brokers"
	runSteps(t, k.run, []step{
		{args: []string{"get", "--raw", "/openapi/v2"}, wants: []string{`"swagger":"2.0"`, `/apis/serving.knative.dev/v1/namespaces/{namespace}/services`, "io.k8s.api.core.v1.Pod"}},
		{args: []string{"get", "--raw", brokers + "?limit=some"}, fails: true, wants: []string{`BadRequest`}},
		{args: []string{"get", "--raw", brokers + "?continue=forged"}, fails: true, wants: []string{`BadRequest.*continue`}},
		{args: []string{"get", "--raw", brokers + "?resourceVersionMatch=Exact"}, fails: true, wants: []string{`The ListOptions "" is invalid.*resourceVersionMatch is forbidden unless resourceVersion is provided`}},
		{args: []string{"get", "--raw", brokers + "?watch=1&sendInitialEvents=true"}, fails: true, wants: []string{`The ListOptions "" is invalid.*sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`}},
		{args: []string{"get", "--raw", brokers + "/one/scale"}, fails: true, wants: []string{`NotFound`}},
		{args: []string{"create", "--raw", brokers + "?dryRun=Some", "--filename", "-"}, stdin: `{"apiVersion":"eventing.knative.dev/v1","kind":"Broker","metadata":{"name":"x"}}`, fails: true, wants: []string{`The CreateOptions "" is invalid: dryRun: Unsupported value`}},
	})
}

func kubectlDescribe(t *testing.T, k kubectlAt) {
	runSteps(t, k.run, []step{
		{args: args("describe ksvc web"), wants: []string{`Name:\s+web`, `Kind:\s+Service`, "Latest Ready Revision Name", "Events:"}},
		{args: args("describe revision web-00001"), wants: []string{`Kind:\s+Revision`, `Events:\s+Type\s+Reason`}},
		{args: args("events --for revision/web-00001"), wants: []string{`LAST SEEN\s+TYPE`}},
		{args: args("describe brokers --selector tier=nowhere"), wants: []string{"No resources found"}},
		{args: args("describe broker absent"), fails: true, wants: []string{`brokers.eventing.knative.dev "absent" not found`}},
	})
}

func kubectlExplain(t *testing.T, k kubectlAt) {
	runSteps(t, k.run, []step{
		{args: args("explain ksvc"), wants: []string{`KIND:\s+Service`, `VERSION:\s+v1`, `GROUP:\s+serving.knative.dev`, "spec\t", "status\t"}},
		{args: args("explain ksvc.spec.template.spec"), wants: []string{"containerConcurrency\t<integer>", "containers\t"}},
		{args: args("explain trigger.spec"), wants: []string{"subscriber\t<Destination> -required-"}},
		{args: args("explain ksvc.spec.template.spec.containers.resources.limits"), wants: []string{`FIELD: limits`, "DESCRIPTION:\n +`limits`, as in Kubernetes"}},
		{args: args("explain broker.spec --recursive"), wants: []string{"delivery\t<", "  backoffPolicy\t<"}},
		{args: args("explain broker --api-version eventing.knative.dev/v1"), wants: []string{"DESCRIPTION:\n +Broker"}},
		{args: args("explain ksvc.spec --output plaintext-openapiv2"), wants: []string{`KIND:\s+Service`, "template\t"}},
		{args: args("explain pod.spec.containers --output plaintext-openapiv2"), wants: []string{"image\t<string>"}},
		{args: args("explain pod.spec.containers"), wants: []string{"image\t<string>"}},
		{args: args("explain ksvc.spec.nope"), fails: true, wants: []string{`field "nope" does not exist`}},
		{args: args("explain brookers"), fails: true, wants: []string{`the server doesn't have a resource type "brookers"`}},
	})
}
