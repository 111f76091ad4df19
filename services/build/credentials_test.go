// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/services/build/account"
	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/build/step/credentials"
	"fairlead.dev/services/internal/condition"
)

func TestSecretsThatNeverMatch(t *testing.T) {
	f := newFixture(t)
	never := account.Finding{Secret: "never", Annotation: "build.knative.dev/docker-0", Text: "no use"}
	offer := func(kind credentials.Kind) credentials.Offer {
		return credentials.Offer{Secret: "key", Kind: kind, Place: credentials.Place{Host: "git.test"}}
	}
	for _, c := range []struct {
		name, url string
		account   account.Account
		says      string // by the init container
		reason    string
		message   string
		warns     []string
	}{
		{"well", "https://git.test/a", account.Account{}, "", reasonSucceeded, "", nil},
		{"warned", "https://git.test/a", account.Account{Findings: []account.Finding{never, never}}, "", reasonSucceeded, "", []string{`secret "never", annotation build.knative.dev/docker-0: no use`}},
		{"warned-by-pod", "", account.Account{}, `secret "key": broken`, reasonSucceeded, "", []string{`secret "key": broken`}},
		{"warned-by-both", "", account.Account{Findings: []account.Finding{never}}, `secret "key": broken`, reasonSucceeded, "", []string{"no use", `; secret "key": broken`}},
		{"broken-pull-secret", "", account.Account{PullSecrets: []corev1.Secret{{Data: map[string][]byte{".dockercfg": []byte("hunter2")}}}}, "", reasonSucceeded, "", []string{"its `.dockercfg` is not what docker writes"}},
		{"key", "git@git.test:a", account.Account{Offers: []credentials.Offer{offer(credentials.Key)}}, "", reasonSucceeded, "", nil},
		{"no-key", "git@git.test:a", account.Account{Findings: []account.Finding{never}}, "", reasonCredentials, "annotated build.knative.dev/git-0: ssh://git.test (secret \"never\"", []string{"no use"}},
		{"password-for-ssh", "git@git.test:a", account.Account{Offers: []credentials.Offer{offer(credentials.Password)}}, "", reasonCredentials, "is of type kubernetes.io/basic-auth, and ssh takes", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := *f
			f.t = t
			moves := kubelet(end(0))
			w := &world{now: time.Unix(1_700_000_000, 0), account: c.account}
			source := c.url != ""
			w.run = func(w *world) {
				moves(w)
				if w.pod == nil {
					return
				}
				if source && len(w.pod.Status.ContainerStatuses) > 0 { // the kubelet of tests knows no source: its containers come one later
					w.pod.Status.ContainerStatuses[0].Name, w.pod.Status.ContainerStatuses[1].Name = "step-one", "step-two"
					w.pod.Status.ContainerStatuses = append(w.pod.Status.ContainerStatuses[:2:2], corev1.ContainerStatus{Name: pod.SourceStep, State: end(0)})
				}
				if c.says != "" {
					state := end(0)
					state.Terminated.Message = `{"reason":"CredentialsUnused","message":"` + strings.ReplaceAll(c.says, `"`, `\"`) + `"}`
					w.pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "install", State: state}}
				}
			}
			b := f.drive(w, f.create(c.name, func(s *buildv1.BuildSpec) {
				if source {
					s.Source = &buildv1.SourceSpec{Git: &buildv1.GitSource{Url: c.url, Revision: "main"}}
				}
			}))
			if got := succeeded(b); got.GetReason() != c.reason || !strings.Contains(got.GetMessage(), c.message) {
				t.Errorf("condition %v, want %s: … %s …", got, c.reason, c.message)
			}
			if c.reason == reasonCredentials && w.created > 0 {
				t.Error("a pod was made")
			}
			warning := condition.Get(b.GetStatus().GetConditions(), conditionCredentials)
			if (warning == nil) != (len(c.warns) == 0) || warning != nil && (warning.GetStatus() != condition.False || warning.GetSeverity() != "Warning") {
				t.Errorf("warning %v", warning)
			}
			for _, want := range c.warns {
				if strings.Count(warning.GetMessage(), want) != 1 {
					t.Errorf("warning %q, want once %q", warning.GetMessage(), want)
				}
			}
			events := slices.DeleteFunc(slices.Clone(w.log), func(s string) bool { return s != "event "+reasonSecretsUnused })
			if want := map[bool]int{true: 2, false: min(1, len(c.warns))}[len(c.warns) == 2]; len(events) != want {
				t.Errorf("%d Events, want %d: one for each change", len(events), want)
			}
		})
	}
}

// TestWarningEnds: once the Secrets are right, a build that waits says so.
func TestWarningEnds(t *testing.T) {
	b := &buildv1.Build{}
	now := time.Unix(1_700_000_000, 0)
	warned(b, now, []string{strings.Repeat("é", longestWarning)})
	if m := condition.Get(b.GetStatus().GetConditions(), conditionCredentials).GetMessage(); len(m) > longestWarning+len(" …") || strings.ContainsRune(m, '\uFFFD') {
		t.Errorf("%d bytes", len(m))
	}
	warned(b, now, nil)
	if c := condition.Get(b.GetStatus().GetConditions(), conditionCredentials); c.GetStatus() != condition.True || c.GetSeverity() != "" || c.GetMessage() != "" {
		t.Errorf("condition %v", c)
	}
}
