// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/build/account"
	"fairlead.dev/services/build/pod"
)

// hidden is in every value; it must not be told.
const hidden = "hunter2"

func secret(kind corev1.SecretType, annotations map[string]string, keys ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: kmetav1.ObjectMeta{Name: "one", Annotations: annotations}, Type: kind, Data: map[string][]byte{}}
	for _, k := range keys {
		s.Data[k] = []byte(hidden)
	}
	return s
}

func read(t *testing.T, names, pulls []string, secrets ...*corev1.Secret) account.Account {
	t.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: kmetav1.ObjectMeta{Name: "builder"}}
	for _, n := range names {
		sa.Secrets = append(sa.Secrets, corev1.ObjectReference{Name: n})
	}
	for _, n := range pulls {
		sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: n})
	}
	a, err := account.Read(sa, func(name string) (*corev1.Secret, error) {
		for _, s := range secrets {
			if s.Name == name {
				return s, nil
			}
		}
		return nil, nil //nolint:nilnil // as Read wants it
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const (
	basic = corev1.SecretTypeBasicAuth
	key   = corev1.SecretTypeSSHAuth
)

func TestUse(t *testing.T) {
	on := func(pairs ...string) map[string]string {
		out := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = pairs[i+1]
		}
		return out
	}
	for _, c := range []struct {
		reason string
		secret *corev1.Secret
		want   []pod.Credential
		says   []string // of the findings
	}{
		{"a password for git", secret(basic, on("build.knative.dev/git-0", "https://git.test"), "username", "password"), []pod.Credential{{Secret: "one", Use: pod.ForGit, Place: "https://git.test"}}, nil},
		{
			"several places, of both prefixes", secret(basic, on("tekton.dev/git-0", "git.test/team", "tekton.dev/docker-0", "https://index.docker.io/v1/", "build.knative.dev/git-x", "git.test:8443"), "username", "password"),
			[]pod.Credential{{Secret: "one", Use: pod.ForGit, Place: "git.test:8443"}, {Secret: "one", Use: pod.ForDocker, Place: "https://index.docker.io/v1"}, {Secret: "one", Use: pod.ForGit, Place: "git.test/team"}}, nil,
		},
		{"a key, annotated as for https", secret(key, on("build.knative.dev/git-0", "https://git.test"), "ssh-privatekey"), []pod.Credential{{Secret: "one", Use: pod.ForGit, Place: "https://git.test"}}, nil},
		{"a key with a port", secret(key, on("tekton.dev/git-0", "git.test:2222"), "ssh-privatekey"), []pod.Credential{{Secret: "one", Use: pod.ForGit, Place: "git.test:2222"}}, nil},
		{"docker's config", secret(corev1.SecretTypeDockerConfigJson, nil, ".dockerconfigjson"), []pod.Credential{{Secret: "one", Use: pod.ForDockerConfig}}, nil},
		{"the older form", secret(corev1.SecretTypeDockercfg, nil, ".dockercfg"), []pod.Credential{{Secret: "one", Use: pod.ForDockerCfg}}, nil},
		{"a token of the account, which is for others", secret(corev1.SecretTypeServiceAccountToken, nil, "token"), nil, nil},
		{"any other", secret(corev1.SecretTypeOpaque, on("example.com/git-0", "x", "build.knative.dev/owner", "ann", "tekton.dev/pipelines.minVersion", "1"), "key"), nil, nil},
		{"a user in the place", secret(basic, on("tekton.dev/git-0", "https://ann@git.test"), "username"), []pod.Credential{{Secret: "one", Use: pod.ForGit, Place: "https://git.test"}}, nil},

		{"no annotation", secret(basic, nil, "username", "password"), nil, []string{`secret "one": nothing says what it is for; annotate it build.knative.dev/git-0`}},
		{"a key without annotation", secret(key, nil, "ssh-privatekey"), nil, []string{`secret "one": nothing says what it is for; annotate it build.knative.dev/git-0`}},
		{"a key for a registry", secret(key, on("build.knative.dev/docker-0", "registry.test"), "ssh-privatekey"), nil, []string{`secret "one", annotation build.knative.dev/docker-0: a Secret of type kubernetes.io/ssh-auth cannot be shown to a registry; make it of type kubernetes.io/basic-auth`}},
		{"a password for ssh", secret(basic, on("tekton.dev/git-0", "git@git.test:team"), "username", "password"), nil, []string{`annotation tekton.dev/git-0: a Secret of type kubernetes.io/basic-auth cannot be used over ssh; annotate it with https://git.test`}},
		{"a registry over ssh", secret(basic, on("tekton.dev/docker-0", "ssh://registry.test"), "username", "password"), nil, []string{"annotation tekton.dev/docker-0: registries do not speak ssh"}},
		{"no host", secret(basic, on("tekton.dev/git-0", ""), "username", "password"), nil, []string{"annotation tekton.dev/git-0: it is empty; write a host"}},
		{"another scheme", secret(basic, on("tekton.dev/git-0", "ftp://git.test"), "username", "password"), nil, []string{`annotation tekton.dev/git-0: the scheme "ftp" is not one of`}},
		{"a password in the place", secret(basic, on("tekton.dev/git-0", "https://ann:"+hidden+"@git.test"), "username", "password"), nil, []string{"annotation tekton.dev/git-0: it holds a password"}},
		{"one annotation is right", secret(basic, on("tekton.dev/git-0", "*.test", "tekton.dev/git-1", "git.test"), "username", "password"), []pod.Credential{{Secret: "one", Use: pod.ForGit, Place: "git.test"}}, []string{"annotation tekton.dev/git-0: its host is no DNS name"}},
		{"misspelt annotations", secret(basic, on("build.knative.dev/gti-0", "git.test", "tekton.dev/git", "git.test", "tekton.dev/docker-", "git.test"), "username", "password"), nil, []string{
			"annotation build.knative.dev/gti-0: nobody reads it; write build.knative.dev/git-0", "annotation tekton.dev/docker-: nobody", "annotation tekton.dev/git: nobody", "nothing says what it is for",
		}},
		{"no username", secret(basic, on("tekton.dev/git-0", "git.test"), "password"), nil, []string{"it has no `username`"}},
		{"no key", secret(key, on("tekton.dev/git-0", "git.test"), "known_hosts"), nil, []string{"it has no `ssh-privatekey`"}},
		{"no config", secret(corev1.SecretTypeDockerConfigJson, nil), nil, []string{"it has no `.dockerconfigjson`"}},
		{"no older config", secret(corev1.SecretTypeDockercfg, nil, ".dockerconfigjson"), nil, []string{"it has no `.dockercfg`"}},
		{"no type, annotated", secret(corev1.SecretTypeOpaque, on("tekton.dev/git-0", "git.test"), "username", "password"), nil, []string{"annotation tekton.dev/git-0: its type Opaque is none that builds know"}},
		{"no type, not annotated, and it looks so", secret(corev1.SecretTypeOpaque, nil, "ssh-privatekey"), nil, []string{"it seems to hold credentials, and its type Opaque"}},
		{"a certificate, annotated", secret(corev1.SecretTypeTLS, on("tekton.dev/docker-0", "registry.test"), "tls.key"), nil, []string{"its type kubernetes.io/tls is none"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			a := read(t, []string{"one", "one"}, nil, c.secret)
			if diff := cmp.Diff(c.want, a.Credentials); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
			if len(a.Findings) != len(c.says) {
				t.Fatalf("findings %v, want %q", a.Findings, c.says)
			}
			for i, f := range a.Findings {
				if !strings.Contains(f.String(), c.says[i]) || !strings.Contains(f.String(), `"one"`) || strings.Contains(f.String(), hidden) {
					t.Errorf("finding %q, want %q", f, c.says[i])
				}
			}
		})
	}
}

func TestPulls(t *testing.T) {
	named := func(name string, s *corev1.Secret) *corev1.Secret {
		s.Name = name
		return s
	}
	config := named("config", secret(corev1.SecretTypeDockerConfigJson, nil, ".dockerconfigjson"))
	pull := named("pull", secret(corev1.SecretTypeDockercfg, nil, ".dockercfg"))
	login := named("login", secret(basic, map[string]string{"tekton.dev/docker-0": "registry.test", "tekton.dev/git-0": "git.test"}, "username", "password"))

	a := read(t, []string{"config", "login", "gone"}, []string{"pull", "config", "lost"}, config, pull, login)
	var nodes, lookUp []string
	for _, s := range a.ImagePullSecrets {
		nodes = append(nodes, s.Name)
	}
	for _, s := range a.PullSecrets {
		lookUp = append(lookUp, s.Name)
	}
	if got := strings.Join(nodes, " "); got != "pull config lost" {
		t.Errorf("nodes pull with %q: those of the account, and what its steps have in docker's form", got)
	}
	if got := strings.Join(lookUp, " "); got != "config pull" {
		t.Errorf("images are looked up with %q", got)
	}
	if len(a.Logins) != 1 || a.Logins[0].Place != "registry.test" {
		t.Errorf("logins %d; want that for registry.test, and not that for git", len(a.Logins))
	}
	for _, c := range a.Credentials {
		if c.Secret == "pull" {
			t.Error("a Secret that is for pulling only is given to steps")
		}
	}
	want := []string{
		`secret "gone": service account "builder" names it under ` + "`secrets`, and it is not there; make it, or take the name out",
		`secret "lost": service account "builder" names it under ` + "`imagePullSecrets`, and it is not there; make it, or take the name out",
	}
	var got []string
	for _, f := range a.Findings {
		got = append(got, f.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}

	a = read(t, nil, []string{"login"}, login)
	if len(a.Logins) != 1 || len(a.Credentials) != 0 || a.ImagePullSecrets != nil || len(a.Findings) != 1 || !strings.Contains(a.Findings[0].Text, "nodes pull with type kubernetes.io/dockerconfigjson only") {
		t.Errorf("a password under imagePullSecrets: %d logins, %d credentials, %v", len(a.Logins), len(a.Credentials), a.Findings)
	}

	down := errors.New("down")
	_, err := account.Read(&corev1.ServiceAccount{Secrets: []corev1.ObjectReference{{Name: "a"}}}, func(string) (*corev1.Secret, error) { return nil, down })
	if !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
}

// FuzzAnnotations: whatever the annotations are, nothing of the Secret is told, and what pods get can be read there.
func FuzzAnnotations(f *testing.F) {
	for _, seed := range [][2]string{{"build.knative.dev/git-0", "https://git.test"}, {"tekton.dev/docker-x", "git@git.test:2222:a"}, {"tekton.dev/gti-0", "x"}, {"build.knative.dev/git-", "\x00="}} {
		f.Add(seed[0], seed[1], true)
		f.Add(seed[0], seed[1], false)
	}
	f.Fuzz(func(t *testing.T, name, value string, withKey bool) {
		s := secret(basic, map[string]string{name: value, "build.knative.dev/git-9": "git.test"}, "username", "password")
		if withKey {
			s = secret(key, maps.Clone(s.Annotations), "ssh-privatekey")
		}
		a := read(t, []string{"one"}, nil, s)
		for _, found := range a.Findings {
			if strings.Contains(found.Text, hidden) {
				t.Fatalf("finding %q", found)
			}
		}
		for _, c := range a.Credentials {
			if c.Place == "" || strings.ContainsAny(c.Place, "\n \"@") || strings.Contains(c.Place, hidden) && !strings.Contains(value, hidden) {
				t.Fatalf("%q: %q becomes %q", name, value, c.Place)
			}
		}
	})
}
