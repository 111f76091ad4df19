// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/rpc"
)

// review answers as the cluster would: fairlead:ada may do everything, system:serviceaccount:ci:robot everything but acting
// as others, and everyone's rules are about pods and, for bob, all groups.
func (*clusterStub) review(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "selfsubjectrulesreviews") {
		groups := `""`
		if r.Header.Get("Impersonate-User") == "fairlead:bob" {
			groups = `"*"`
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"kind":"SelfSubjectRulesReview","apiVersion":"authorization.k8s.io/v1","status":{"resourceRules":[{"verbs":["get"],"apiGroups":[`+
			groups+`],"resources":["pods"]}],"nonResourceRules":[{"verbs":["get"],"nonResourceURLs":["/version"]}],"incomplete":false}}`)
		return
	}
	var asked authorizationv1.SubjectAccessReview
	if err := json.Unmarshal(data, &asked); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	acts := asked.Spec.ResourceAttributes != nil && asked.Spec.ResourceAttributes.Verb == "impersonate"
	asked.Status.Allowed = asked.Spec.User == "fairlead:ada" || !acts && asked.Spec.User == "system:serviceaccount:ci:robot" || strings.Join(asked.Spec.Groups, ",") == "fairlead:staff,system:authenticated"
	asked.Status.Reason = "the cluster says so of " + asked.Spec.User
	w.WriteHeader(http.StatusCreated)
	if err := json.NewEncoder(w).Encode(asked); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// ReviewSubject lets ada do everything.
func (reviews) ReviewSubject(_ context.Context, r *authv1.ReviewSubjectRequest) (*authv1.ReviewSubjectResponse, error) {
	return &authv1.ReviewSubjectResponse{Allowed: r.GetSubject().GetUser() == "ada", Reason: "we say so of " + r.GetSubject().GetUser()}, nil
}

// ReviewLocalSubject lets ada do everything.
func (reviews) ReviewLocalSubject(_ context.Context, r *authv1.ReviewLocalSubjectRequest) (*authv1.ReviewLocalSubjectResponse, error) {
	return &authv1.ReviewLocalSubjectResponse{Allowed: r.GetSubject().GetUser() == "ada", Reason: "we say so of " + r.GetSubject().GetUser() + " in " + r.GetNamespace()}, nil
}

// Rules lets ada do everything, and bob read services and pods.
func (reviews) Rules(ctx context.Context, _ *authv1.RulesRequest) (*authv1.RulesResponse, error) {
	if id, _ := rpc.IdentityFrom(ctx); id.User == "ada" {
		return &authv1.RulesResponse{Rules: []*authv1.PolicyRule{
			{Verbs: []string{"*"}, ApiGroups: []string{"*"}, Resources: []string{"*"}}, {Verbs: []string{"*"}, NonResourceUrls: []string{"*"}},
		}}, nil
	}
	return &authv1.RulesResponse{Rules: []*authv1.PolicyRule{{Verbs: []string{"get"}, ApiGroups: []string{"serving.knative.dev", ""}, Resources: []string{"services", "pods"}}}}, nil
}

func accessReview(kind, spec string) string {
	return `{"apiVersion":"authorization.k8s.io/v1","kind":"` + kind + `","metadata":{"namespace":"shop"},"spec":` + spec + `}`
}

// Reviews of others are answered here about groups of ours, and by the cluster about others, under the names that it knows.
func TestSubjectAccessReviews(t *testing.T) {
	f := start(t)
	const ours, theirs = `"resourceAttributes":{"group":"serving.knative.dev","resource":"services","verb":"get","namespace":"shop"}`,
		`"resourceAttributes":{"group":"apps","resource":"deployments","verb":"get","namespace":"shop"}`
	const all, path = `"resourceAttributes":{"group":"*","resource":"*","verb":"*"}`, "/apis/authorization.k8s.io/v1/"
	for _, c := range []struct {
		reason, path, kind, spec string
		allowed                  bool
		says                     string
	}{
		{"one of ours about ours", "subjectaccessreviews", "SubjectAccessReview", `{"user":"ada",` + ours + `}`, true, "we say so of ada"},
		{"another", "subjectaccessreviews", "SubjectAccessReview", `{"user":"bob",` + ours + `}`, false, "we say so of bob"},
		{"one of ours about theirs", "subjectaccessreviews", "SubjectAccessReview", `{"user":"ada",` + theirs + `}`, true, "the cluster says so of fairlead:ada"},
		{"groups of ours about theirs", "subjectaccessreviews", "SubjectAccessReview", `{"user":"x","groups":["staff","system:authenticated"],` + theirs + `}`, true, "fairlead:x"},
		{"one of the cluster's", "subjectaccessreviews", "SubjectAccessReview", `{"user":"system:serviceaccount:ci:robot",` + theirs + `}`, true, "of system:serviceaccount:ci:robot"},
		{"about everything both must allow", "subjectaccessreviews", "SubjectAccessReview", `{"user":"ada",` + all + `}`, true, "the cluster says so"},
		{"about everything we do not", "subjectaccessreviews", "SubjectAccessReview", `{"user":"system:serviceaccount:ci:robot",` + all + `}`, false, "we say so"},
		{"in a namespace", "namespaces/shop/localsubjectaccessreviews", "LocalSubjectAccessReview", `{"user":"ada",` + ours + `}`, true, "we say so of ada in shop"},
		{"in a namespace of theirs", "namespaces/shop/localsubjectaccessreviews", "LocalSubjectAccessReview", `{"user":"ada",` + theirs + `}`, true, "fairlead:ada"},
		{"a path of ours", "subjectaccessreviews", "SubjectAccessReview", `{"user":"ada","nonResourceAttributes":{"verb":"get","path":"/debug/pprof/"}}`, true, "we say so"},
		{"a path of theirs", "subjectaccessreviews", "SubjectAccessReview", `{"user":"ada","nonResourceAttributes":{"verb":"get","path":"/version"}}`, true, "the cluster says so"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			code, _, body := f.send("POST", path+c.path, accessReview(c.kind, c.spec), "Authorization", "Bearer ada")
			var got authorizationv1.SubjectAccessReview
			if err := json.Unmarshal([]byte(body), &got); err != nil || code != 201 {
				t.Fatalf("%d %s: %v", code, body, err)
			}
			var want authorizationv1.SubjectAccessReviewSpec
			if err := json.Unmarshal([]byte(c.spec), &want); err != nil {
				t.Fatal(err)
			}
			if got.Status.Allowed != c.allowed || !strings.Contains(got.Status.Reason, c.says) || got.Kind != c.kind {
				t.Errorf("got %s", body)
			}
			if d := cmp.Diff(want, got.Spec); d != "" {
				t.Errorf("the spec is another (-want +got):\n%s", d)
			}
		})
	}
	if code, _, body := f.send("POST", path+"subjectaccessreviews", accessReview("SubjectAccessReview", `{"user":"ada",`+ours+`}`), "Authorization", "Bearer bob"); code != 403 {
		t.Errorf("without the right to ask: %d %s", code, body)
	}
}

// `kubectl auth can-i --list` tells of our groups and of the cluster's.
func TestSelfRulesReview(t *testing.T) {
	f := start(t)
	ask := func(who string) authorizationv1.SubjectRulesReviewStatus {
		t.Helper()
		code, _, body := f.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", accessReview("SelfSubjectRulesReview", `{"namespace":"shop"}`), "Authorization", "Bearer "+who)
		var got authorizationv1.SelfSubjectRulesReview
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != 201 {
			t.Fatalf("%d %s: %v", code, body, err)
		}
		return got.Status
	}
	bob := ask("bob")
	want := []authorizationv1.ResourceRule{
		{Verbs: []string{"get"}, APIGroups: []string{"serving.knative.dev"}, Resources: []string{"services", "pods"}},
		{Verbs: []string{"get"}, APIGroups: []string{"*"}, Resources: []string{"pods"}},
	}
	if d := cmp.Diff(want, bob.ResourceRules); d != "" {
		t.Errorf("bob (-want +got):\n%s", d)
	}
	if !bob.Incomplete || !strings.Contains(bob.EvaluationError, "do not hold for those that Fairlead serves") {
		t.Errorf("what the cluster lets bob do looks as if it were about all: %+v", bob)
	}
	ada := ask("ada")
	if len(ada.ResourceRules) != 2 || len(ada.NonResourceRules) != 2 || ada.Incomplete {
		t.Fatalf("ada: %+v", ada)
	}
	for _, group := range ada.ResourceRules[0].APIGroups {
		if group == "*" || group == "apps" {
			t.Errorf("our rules tell of the cluster's groups: %v", ada.ResourceRules[0])
		}
	}
	robot := ask("robot")
	if robot.Incomplete || len(robot.ResourceRules) != 2 {
		t.Errorf("robot: %+v", robot)
	}
}

// `kubectl auth whoami` tells who somebody is here, not in the cluster.
func TestWhoAmIInKubernetesWords(t *testing.T) {
	f := start(t)
	ask := func(who string) authenticationv1.UserInfo {
		t.Helper()
		code, _, body := f.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, "Authorization", "Bearer "+who)
		var got authenticationv1.SelfSubjectReview
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != 201 || got.Kind != "SelfSubjectReview" {
			t.Fatalf("%d %s: %v", code, body, err)
		}
		return got.Status.UserInfo
	}
	if d := cmp.Diff(authenticationv1.UserInfo{Username: "ada", Groups: []string{"staff", "system:authenticated"}}, ask("ada")); d != "" {
		t.Errorf("ada (-want +got):\n%s", d)
	}
	want := authenticationv1.UserInfo{
		Username: "system:serviceaccount:ci:robot", UID: "u1", Groups: []string{"system:serviceaccounts", "system:authenticated"},
		Extra: map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/pod-name": {"p"}},
	}
	if d := cmp.Diff(want, ask("robot")); d != "" {
		t.Errorf("robot (-want +got):\n%s", d)
	}
	if f.cluster.seen() != nil {
		t.Error("the cluster was asked")
	}
}
