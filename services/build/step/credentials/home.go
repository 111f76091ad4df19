// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files are what programs look for in their home, by path within it: git, ssh, and all that read docker's config. Paths
// in them lead to Home.Dir.
type Files map[string]string

// The files that there may be, and what the names of keys begin with.
const (
	gitConfig      = ".gitconfig"
	gitCredentials = ".git-credentials"
	dockerConfig   = ".docker/config.json"
	sshConfig      = ".ssh/config"
	sshKnownHosts  = KnownHosts
	sshKey         = ".ssh/id_"
)

// KnownHosts is where ssh looks for host keys, within a home.
const KnownHosts = ".ssh/known_hosts"

// Home is what the files of a home are made of.
type Home struct {
	// Dir is the home.
	Dir string
	// Git and Docker are credentials for git servers and for registries. Of several for one place the first counts.
	Git, Docker []Credential
	// DockerConfigs are files in the form of docker's config.json or of its predecessor .dockercfg. Docker goes before
	// them, and the first before the others.
	DockerConfigs []string
}

// Files renders the home. What cannot be used is told of and left out.
func (h Home) Files() (Files, []Fault) {
	out := Files{}
	h.git(out)
	h.ssh(out)
	return out, h.docker(out)
}

// git lists the closest places last in .gitconfig, where the last username that fits counts, and first in .git-credentials,
// of which git takes the first that fits host and username.
func (h Home) git(out Files) {
	passwords := slices.DeleteFunc(slices.Clone(h.Git), func(c Credential) bool { return c.Kind != Password })
	if len(passwords) == 0 {
		return
	}
	slices.SortStableFunc(passwords, func(a, b Credential) int { return len(b.Place.Path) - len(a.Place.Path) })
	var store strings.Builder
	var config []string
	seen := map[string]bool{}
	for _, c := range passwords {
		place := c.Place
		if place.Scheme != HTTP {
			place.Scheme = HTTPS
		}
		if seen[place.String()] {
			continue
		}
		seen[place.String()] = true
		section := fmt.Sprintf("[credential \"%s\"]\n\tusername = %s\n", place, gitQuote(c.Username))
		if place.Path != "" { // it may be a folder or a repository
			section += fmt.Sprintf("[credential \"%s.git\"]\n\tusername = %s\n", place, gitQuote(c.Username))
		}
		config = append(config, section)
		// The path stays out: git asks for a host, and takes what has the username.
		fmt.Fprintf(&store, "%s://%s:%s@%s\n", place.Scheme, percent(c.Username), percent(c.Password), place.authority())
	}
	slices.Reverse(config)
	out[gitConfig], out[gitCredentials] = "[credential]\n\thelper = store\n"+strings.Join(config, ""), store.String()
}

// gitQuote quotes a value for git's configuration, which has no control characters.
func gitQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// percent escapes all that is not plain, for git's credential store.
func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ssh writes one block for each host, with all its keys. Host keys are checked strictly where the Secrets bring some;
// otherwise the first one that a host shows is accepted, and kept for the rest of the build, as Tekton does.
func (h Home) ssh(out Files) {
	var config, known strings.Builder
	var hosts []string
	keys := map[string][]Credential{}
	for _, c := range h.Git {
		if c.Kind != Key {
			continue
		}
		if keys[c.Place.Host] == nil {
			hosts = append(hosts, c.Place.Host)
		}
		keys[c.Place.Host] = append(keys[c.Place.Host], c)
	}
	for _, host := range hosts {
		fmt.Fprintf(&config, "Host %s\n", host)
		if port := onePort(keys[host]); port != "" {
			fmt.Fprintf(&config, "\tPort %s\n", port)
		}
		strict := "accept-new"
		seen := map[string]bool{}
		for _, c := range keys[host] {
			file := sshKey + c.Secret
			if len(c.KnownHosts) > 0 {
				strict = "yes"
			}
			if seen[file] {
				continue
			}
			seen[file] = true
			if _, there := out[file]; !there && len(c.KnownHosts) > 0 {
				known.Write(c.KnownHosts)
				known.WriteString("\n")
			}
			out[file] = string(c.Key)
			fmt.Fprintf(&config, "\tIdentityFile %s\n", h.sshPath(file))
		}
		fmt.Fprintf(&config, "\tStrictHostKeyChecking %s\n\tUserKnownHostsFile %s\n", strict, h.sshPath(sshKnownHosts))
	}
	if config.Len() > 0 {
		out[sshConfig], out[sshKnownHosts] = config.String(), known.String()
	}
}

// sshPath is a path of the home as ssh's configuration has it.
func (h Home) sshPath(file string) string {
	return `"` + strings.ReplaceAll(filepath.Join(h.Dir, file), "%", "%%") + `"`
}

// onePort is the port that all of a host's keys name.
func onePort(keys []Credential) string {
	port := keys[0].Place.Port
	for _, c := range keys {
		if c.Place.Port != port || c.Place.Scheme == HTTP || c.Place.Scheme == HTTPS {
			return ""
		}
	}
	return port
}

type dockerAuths struct {
	Auths map[string]json.RawMessage `json:"auths"`
}

func (h Home) docker(out Files) []Fault {
	all := dockerAuths{Auths: map[string]json.RawMessage{}}
	for _, c := range h.Docker {
		place := c.Place.Registry()
		if _, there := all.Auths[place]; there || c.Kind != Password {
			continue
		}
		auth := base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password))
		all.Auths[place] = json.RawMessage(`{"auth":"` + auth + `"}`)
	}
	var faults []Fault
	for _, file := range h.DockerConfigs {
		auths, err := readDocker(file)
		if err != nil {
			faults = append(faults, Fault{Offer{Secret: filepath.Base(filepath.Dir(file))}, err})
		}
		for place, auth := range auths {
			if _, there := all.Auths[place]; !there {
				all.Auths[place] = auth
			}
		}
	}
	if len(all.Auths) == 0 {
		return faults
	}
	data, err := json.Marshal(all)
	if err != nil {
		return append(faults, Fault{Err: errors.New("docker's config cannot be written as JSON")})
	}
	out[dockerConfig] = string(data)
	return faults
}

func readDocker(file string) (map[string]json.RawMessage, error) {
	key := filepath.Base(file)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("it is not there, or has no `%s`", key)
	}
	if err != nil {
		return nil, fmt.Errorf("its `%s` cannot be read: %w", key, err)
	}
	return DockerAuths(key, data)
}

// DockerAuths returns the entries of a Secret's `.dockerconfigjson` or `.dockercfg`, by place. Errors repeat nothing of it.
func DockerAuths(key string, data []byte) (map[string]json.RawMessage, error) {
	var config dockerAuths
	var err error
	if key == ".dockercfg" {
		err = json.Unmarshal(data, &config.Auths)
	} else {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		return nil, fmt.Errorf("its `%s` is not what docker writes: it cannot be read as JSON of that form; make it with `kubectl create secret docker-registry`", key)
	}
	for place, auth := range config.Auths {
		var entry struct {
			Username, Password, Auth, IdentityToken, RegistryToken string
		}
		if err := json.Unmarshal(auth, &entry); err != nil {
			return nil, fmt.Errorf("its `%s` has an entry that is none of docker's; make it with `kubectl create secret docker-registry`", key)
		}
		if p, err := ParsePlace(place); err == nil && p.Registry() == dockerHub && place != dockerHub {
			delete(config.Auths, place)
			config.Auths[dockerHub] = auth
		}
	}
	return config.Auths, nil
}
