// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
)

// Keychain makes a keychain of pull Secrets, which are of the types kubernetes.io/dockerconfigjson and
// kubernetes.io/dockercfg. Of several entries that match, the one with the longest place wins, as it does on nodes.
func Keychain(pullSecrets []corev1.Secret) (authn.Keychain, error) {
	var k keychain
	for _, s := range pullSecrets {
		auths := map[string]authn.AuthConfig{}
		var err error
		switch {
		case s.Data[corev1.DockerConfigJsonKey] != nil:
			var config struct {
				Auths map[string]authn.AuthConfig `json:"auths"`
			}
			err = json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config)
			auths = config.Auths
		case s.Data[corev1.DockerConfigKey] != nil:
			err = json.Unmarshal(s.Data[corev1.DockerConfigKey], &auths)
		}
		if err != nil {
			return nil, fmt.Errorf("secret %q is not docker's config: it cannot be read as JSON", s.Name)
		}
		for place, auth := range auths {
			k = append(k, entry{clean(place), auth})
		}
	}
	return k, nil
}

type entry struct {
	place string
	auth  authn.AuthConfig
}

type keychain []entry

// Resolve finds the credentials for a repository.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	var best *entry
	for i, e := range k {
		if e.matches(target) && (best == nil || len(e.place) > len(best.place)) {
			best = &k[i]
		}
	}
	if best == nil {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(best.auth), nil
}

func (e entry) matches(target authn.Resource) bool {
	host, prefix, _ := strings.Cut(e.place, "/")
	if matched, err := path.Match(host, target.RegistryStr()); err != nil || !matched {
		return false
	}
	repository := strings.TrimPrefix(strings.TrimPrefix(target.String(), target.RegistryStr()), "/")
	return prefix == "" || repository == prefix || strings.HasPrefix(repository, prefix+"/")
}

// clean takes off what docker's config has around hosts: a scheme, and the path of an API.
func clean(place string) string {
	place = strings.TrimPrefix(strings.TrimPrefix(place, "https://"), "http://")
	place = strings.TrimSuffix(place, "/")
	for _, api := range []string{"/v1", "/v2"} {
		place = strings.TrimSuffix(place, api)
	}
	host, rest, _ := strings.Cut(place, "/")
	if host == "docker.io" {
		host = "index.docker.io"
	}
	return strings.TrimSuffix(host+"/"+rest, "/")
}
