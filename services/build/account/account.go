// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package account finds out what a service account brings to a build: credentials for its steps, and for pulling images.
// A Secret that can never be of use is told of.
package account

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"fairlead.dev/services/build/entrypoint"
	"fairlead.dev/services/build/pod"
	"fairlead.dev/services/build/step/credentials"
)

// Account is what a service account brings to a build.
type Account struct {
	// Credentials are those of the steps.
	Credentials []pod.Credential
	// Offers are those of Credentials that are for git.
	Offers []credentials.Offer
	// PullSecrets and Logins are what images may be looked up with.
	PullSecrets []corev1.Secret
	Logins      []entrypoint.Login
	// ImagePullSecrets are the names of the Secrets with which nodes pull; nil leaves it to Kubernetes.
	ImagePullSecrets []corev1.LocalObjectReference
	// Findings tell of Secrets that can never be of use.
	Findings []Finding
}

// Finding tells why a Secret, or an annotation of it, can never be of use.
type Finding struct {
	// Secret is its name.
	Secret string
	// Annotation is the annotation's key; empty where it is about all of the Secret.
	Annotation string
	// Host is what the Secret is for, as far as it says.
	Host string
	// Text says what the matter is and what to do, and nothing of what the Secret holds.
	Text string
}

func (f Finding) String() string {
	if f.Annotation == "" {
		return fmt.Sprintf("secret %q: %s", f.Secret, f.Text)
	}
	return fmt.Sprintf("secret %q, annotation %s: %s", f.Secret, f.Annotation, f.Text)
}

// Read reads what a service account brings. get returns nil for a Secret that is not there.
func Read(sa *corev1.ServiceAccount, get func(name string) (*corev1.Secret, error)) (Account, error) {
	var a Account
	var nodes []corev1.LocalObjectReference
	seen := map[string]bool{}
	for _, ref := range sa.Secrets {
		if ref.Name == "" || seen[ref.Name] {
			continue
		}
		seen[ref.Name] = true
		s, err := get(ref.Name)
		if err != nil {
			return Account{}, err
		}
		if s == nil {
			a.find(ref.Name, "", "", fmt.Sprintf("service account %q names it under `secrets`, and it is not there; make it, or take the name out", sa.Name))
			continue
		}
		if a.step(s) {
			nodes = append(nodes, corev1.LocalObjectReference{Name: ref.Name})
		}
	}
	for _, ref := range sa.ImagePullSecrets {
		s, err := get(ref.Name)
		if err != nil {
			return Account{}, err
		}
		if s == nil {
			a.find(ref.Name, "", "", fmt.Sprintf("service account %q names it under `imagePullSecrets`, and it is not there; make it, or take the name out", sa.Name))
			continue
		}
		if !seen[ref.Name] || !isDocker(s) {
			a.pull(s)
		}
	}
	if len(nodes) > 0 {
		a.ImagePullSecrets = slices.Clone(sa.ImagePullSecrets)
		for _, n := range nodes {
			if !slices.Contains(a.ImagePullSecrets, n) {
				a.ImagePullSecrets = append(a.ImagePullSecrets, n)
			}
		}
	}
	return a, nil
}

// Hints are the findings about a host, or about none in particular.
func (a *Account) Hints(host string) []string {
	var out []string
	for _, f := range a.Findings {
		if f.Host == host || f.Host == "" {
			out = append(out, f.String())
		}
	}
	return out
}

func (a *Account) find(secret, annotation, host, text string) {
	a.Findings = append(a.Findings, Finding{Secret: secret, Annotation: annotation, Host: host, Text: text})
}

func isDocker(s *corev1.Secret) bool {
	return s.Type == corev1.SecretTypeDockerConfigJson || s.Type == corev1.SecretTypeDockercfg
}

// step takes a Secret that steps get. It tells whether nodes can pull with it, too.
func (a *Account) step(s *corev1.Secret) (pulls bool) {
	marks := annotations(s.Annotations)
	for _, m := range marks {
		if m.use == "" {
			a.find(s.Name, m.key, "", m.text)
		}
	}
	marks = slices.DeleteFunc(marks, func(m mark) bool { return m.use == "" })
	switch s.Type {
	case corev1.SecretTypeBasicAuth:
		a.password(s, marks)
	case corev1.SecretTypeSSHAuth:
		a.key(s, marks)
	case corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg:
		return a.docker(s)
	default:
		a.other(s, marks)
	}
	return false
}

func (a *Account) password(s *corev1.Secret, marks []mark) {
	missing := ""
	if len(s.Data[corev1.BasicAuthUsernameKey]) == 0 {
		missing = "it has no `username`; add one: for tokens, most servers take any name"
		a.find(s.Name, "", hostOf(marks), missing)
	}
	if len(marks) == 0 {
		a.find(s.Name, "", "", "nothing says what it is for; annotate it build.knative.dev/git-0 with the host of a git server, or build.knative.dev/docker-0 with that of a registry")
	}
	for _, m := range marks {
		place, ok := a.place(s, m)
		switch {
		case !ok:
		case place.Scheme == credentials.SSH && m.use == pod.ForGit:
			a.find(s.Name, m.key, place.Host, fmt.Sprintf("a Secret of type %s cannot be used over ssh; annotate it with https://%s, or make it of type %s", s.Type, place.Host, corev1.SecretTypeSSHAuth))
		case place.Scheme == credentials.SSH:
			a.find(s.Name, m.key, place.Host, "registries do not speak ssh; annotate it with "+place.Host)
		case missing != "":
		case m.use == pod.ForGit:
			a.add(s, m, place, credentials.Password)
		default:
			a.add(s, m, place, credentials.Password)
			a.login(s, place)
		}
	}
}

func (a *Account) login(s *corev1.Secret, place credentials.Place) {
	a.Logins = append(a.Logins, entrypoint.Login{
		Secret: s.Name, Place: place.Registry(),
		Username: string(s.Data[corev1.BasicAuthUsernameKey]), Password: string(s.Data[corev1.BasicAuthPasswordKey]),
	})
}

func (a *Account) key(s *corev1.Secret, marks []mark) {
	usable := len(s.Data[corev1.SSHAuthPrivateKey]) > 0
	if !usable {
		a.find(s.Name, "", hostOf(marks), "it has no `ssh-privatekey`; put the private key there")
	}
	if len(marks) == 0 {
		a.find(s.Name, "", "", "nothing says what it is for; annotate it build.knative.dev/git-0 with the host of a git server")
	}
	for _, m := range marks {
		if m.use == pod.ForDocker {
			a.find(s.Name, m.key, "", fmt.Sprintf("a Secret of type %s cannot be shown to a registry; make it of type %s, or annotate it build.knative.dev/git-0", s.Type, corev1.SecretTypeBasicAuth))
			continue
		}
		if place, ok := a.place(s, m); ok && usable {
			a.add(s, m, place, credentials.Key)
		}
	}
}

// docker takes a Secret whose content says for which registries it is.
func (a *Account) docker(s *corev1.Secret) bool {
	key, use := corev1.DockerConfigJsonKey, pod.ForDockerConfig
	if s.Type == corev1.SecretTypeDockercfg {
		key, use = corev1.DockerConfigKey, pod.ForDockerCfg
	}
	if len(s.Data[key]) == 0 {
		a.find(s.Name, "", "", fmt.Sprintf("it has no `%s`; make it with `kubectl create secret docker-registry`", key))
		return false
	}
	a.Credentials = append(a.Credentials, pod.Credential{Secret: s.Name, Use: use})
	a.PullSecrets = append(a.PullSecrets, *s)
	return true
}

// other takes a Secret of a type that holds no credentials for builds. Service accounts have such for other purposes, so
// that only one that seems to be meant for builds is told of.
func (a *Account) other(s *corev1.Secret, marks []mark) {
	types := fmt.Sprintf("%s, %s, %s and %s", corev1.SecretTypeBasicAuth, corev1.SecretTypeSSHAuth, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg)
	for _, m := range marks {
		a.find(s.Name, m.key, "", fmt.Sprintf("its type %s is none that builds know; they are %s: make it anew with one of them", s.Type, types))
	}
	has := func(key string) bool { return len(s.Data[key]) > 0 }
	if len(marks) == 0 && s.Type == corev1.SecretTypeOpaque && (has(corev1.SSHAuthPrivateKey) || has(corev1.DockerConfigJsonKey) || has(corev1.DockerConfigKey) ||
		has(corev1.BasicAuthUsernameKey) && has(corev1.BasicAuthPasswordKey)) {
		a.find(s.Name, "", "", fmt.Sprintf("it seems to hold credentials, and its type %s is none that builds know; they are %s: make it anew with one of them", s.Type, types))
	}
}

// pull takes a Secret that is for pulling images only.
func (a *Account) pull(s *corev1.Secret) {
	if isDocker(s) {
		a.PullSecrets = append(a.PullSecrets, *s)
		return
	}
	a.find(s.Name, "", "", fmt.Sprintf("it is one of imagePullSecrets and of type %s, and nodes pull with type %s only; make it with `kubectl create secret docker-registry`", s.Type, corev1.SecretTypeDockerConfigJson))
	if s.Type != corev1.SecretTypeBasicAuth {
		return
	}
	for _, m := range annotations(s.Annotations) {
		if place, err := credentials.ParsePlace(m.value); err == nil && m.use == pod.ForDocker && place.Scheme != credentials.SSH {
			a.login(s, place)
		}
	}
}

func (a *Account) place(s *corev1.Secret, m mark) (credentials.Place, bool) {
	place, err := credentials.ParsePlace(m.value)
	if err != nil {
		a.find(s.Name, m.key, "", err.Error())
	}
	return place, err == nil
}

func (a *Account) add(s *corev1.Secret, m mark, place credentials.Place, kind credentials.Kind) {
	a.Credentials = append(a.Credentials, pod.Credential{Secret: s.Name, Use: m.use, Place: place.String()})
	if m.use == pod.ForGit {
		a.Offers = append(a.Offers, credentials.Offer{Secret: s.Name, Kind: kind, Place: place})
	}
}

// hostOf is the host of all annotations, where they have but one.
func hostOf(marks []mark) string {
	host := ""
	for _, m := range marks {
		place, err := credentials.ParsePlace(m.value)
		if err != nil || host != "" && place.Host != host {
			return ""
		}
		host = place.Host
	}
	return host
}
