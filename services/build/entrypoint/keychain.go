// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"encoding/json"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"

	"fairlead.dev/services/build/step/credentials"
)

// Login is a name and a password for a registry.
type Login struct {
	// Secret is where it comes from.
	Secret string
	// Place is host, port and path, or a URL, as in docker's config.
	Place string
	// Username and Password are shown there.
	Username, Password string
}

// Keychain makes a keychain of pull Secrets, which are of the types kubernetes.io/dockerconfigjson and
// kubernetes.io/dockercfg, and of logins. Of several entries that match, the one with the longest place wins, as it does
// on nodes; of those for one place, that of a login, then the first. Secrets that cannot be read are left out and told of.
func Keychain(pullSecrets []corev1.Secret, logins []Login) (authn.Keychain, []credentials.Fault) {
	var k keychain
	var faults []credentials.Fault
	for _, l := range logins {
		k = append(k, entry{clean(l.Place), l.Secret, authn.AuthConfig{
			Username: strings.TrimRight(l.Username, "\r\n"), Password: strings.TrimRight(l.Password, "\r\n"),
		}})
	}
	for _, s := range pullSecrets {
		key := corev1.DockerConfigJsonKey
		if s.Type == corev1.SecretTypeDockercfg || s.Data[key] == nil {
			key = corev1.DockerConfigKey
		}
		auths, err := credentials.DockerAuths(key, s.Data[key])
		for _, place := range slices.Sorted(maps.Keys(auths)) {
			var auth authn.AuthConfig
			if json.Unmarshal(auths[place], &auth) != nil {
				err = errors.New("its entries are not all what docker writes; make it with `kubectl create secret docker-registry`")
				continue
			}
			k = append(k, entry{clean(place), s.Name, auth})
		}
		if err != nil {
			faults = append(faults, credentials.Fault{Offer: credentials.Offer{Secret: s.Name}, Err: err})
		}
	}
	return k, faults
}

type entry struct {
	place  string
	secret string
	auth   authn.AuthConfig
}

type keychain []entry

// Resolve finds the credentials for a repository.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if e := k.find(target); e != nil {
		return authn.FromConfig(e.auth), nil
	}
	return authn.Anonymous, nil
}

func (k keychain) find(target authn.Resource) *entry {
	var best *entry
	for i, e := range k {
		if e.matches(target) && (best == nil || len(e.place) > len(best.place)) {
			best = &k[i]
		}
	}
	return best
}

// used says which Secret was shown to a registry that refuses access.
func used(from authn.Keychain, target authn.Resource) string {
	k, ok := from.(keychain)
	if !ok {
		return ""
	}
	if e := k.find(target); e != nil {
		return e.secret
	}
	return ""
}

func (e entry) matches(target authn.Resource) bool {
	host, prefix, _ := strings.Cut(e.place, "/")
	if !matchHost(host, target.RegistryStr()) {
		return false
	}
	repository := strings.TrimPrefix(strings.TrimPrefix(target.String(), target.RegistryStr()), "/")
	return prefix == "" || repository == prefix || strings.HasPrefix(repository, prefix+"/")
}

// matchHost compares hosts with their ports. As on nodes, a wildcard stands for one label, or a part of it.
func matchHost(pattern, registry string) bool {
	host, port := cutPort(pattern)
	registryHost, registryPort := cutPort(registry)
	labels, want := strings.Split(host, "."), strings.Split(strings.ToLower(registryHost), ".")
	if port != registryPort || len(labels) != len(want) {
		return false
	}
	for i, l := range labels {
		if ok, err := path.Match(l, want[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// cutPort takes the port off a host. That of HTTPS is as good as none.
func cutPort(host string) (string, string) {
	i := strings.LastIndex(host, ":")
	if i < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	if port := host[i+1:]; port != "443" {
		return host[:i], port
	}
	return host[:i], ""
}

// clean takes off what docker's config has around hosts: a scheme, and the path of an API. Docker Hub gets one name.
func clean(place string) string {
	place = strings.TrimPrefix(strings.TrimPrefix(place, "https://"), "http://")
	host, rest, _ := strings.Cut(place, "/")
	rest = strings.Trim(rest, "/")
	for _, api := range []string{"v1", "v2"} {
		if rest == api {
			rest = ""
		} else {
			rest = strings.TrimPrefix(rest, api+"/")
		}
	}
	switch host = strings.ToLower(host); host {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		host = "index.docker.io"
	}
	return strings.TrimSuffix(host+"/"+rest, "/")
}
