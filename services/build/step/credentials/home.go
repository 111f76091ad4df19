// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Home writes credentials where programs in the steps look for them: git, ssh, and all that read docker's config.
type Home struct {
	// Dir is the home that all steps share.
	Dir string
	// Git and Docker are credentials for git servers and for registries.
	Git, Docker []Credential
	// DockerConfigs are files of the form of docker's config.json whose entries are taken over.
	DockerConfigs []string
}

// Write makes the files. Those that hold secrets can be read by every user of the pod, as the steps may run as any.
func (h Home) Write() error {
	return errors.Join(h.writeGit(), h.writeSSH(), h.writeDocker())
}

func (h Home) writeGit() error {
	var config, store strings.Builder
	for _, c := range h.Git {
		if c.Username == "" && c.Password == "" {
			continue
		}
		u := url.URL{Scheme: c.Scheme, Host: c.Host, User: url.UserPassword(c.Username, c.Password)}
		if u.Scheme != "http" {
			u.Scheme = "https"
		}
		u.Path = c.Path
		fmt.Fprintln(&store, u.String())
		u.User = nil
		fmt.Fprintf(&config, "[credential %q]\n\tusername = %q\n", u.String(), c.Username)
	}
	if store.Len() == 0 {
		return nil
	}
	config.WriteString("[credential]\n\thelper = store\n")
	return errors.Join(h.write(".git-credentials", store.String(), 0o644), h.write(".gitconfig", config.String(), 0o644))
}

func (h Home) writeSSH() error {
	var config, known strings.Builder
	for _, c := range h.Git {
		if len(c.Key) == 0 {
			continue
		}
		file := filepath.Join(".ssh", "id_"+c.Name)
		if err := h.write(file, string(c.Key), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&config, "Host %s\n\tIdentityFile %s\n", hostOnly(c.Host), filepath.Join(h.Dir, file))
		if len(c.KnownHosts) == 0 {
			config.WriteString("\tStrictHostKeyChecking no\n")
		}
		known.Write(c.KnownHosts)
	}
	if config.Len() == 0 {
		return nil
	}
	return errors.Join(h.write(".ssh/config", config.String(), 0o600), h.write(".ssh/known_hosts", known.String(), 0o600))
}

type dockerConfig struct {
	Auths map[string]json.RawMessage `json:"auths"`
}

func (h Home) writeDocker() error {
	out := dockerConfig{Auths: map[string]json.RawMessage{}}
	for _, file := range h.DockerConfigs {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("registry credentials: %w", err)
		}
		var in dockerConfig
		if err := json.Unmarshal(data, &in); err != nil {
			return fmt.Errorf("secret %q is not docker's config: %w", filepath.Base(filepath.Dir(file)), err)
		}
		maps.Copy(out.Auths, in.Auths)
	}
	for _, c := range h.Docker {
		auth := base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password))
		data, err := json.Marshal(map[string]string{"auth": auth})
		if err != nil {
			return fmt.Errorf("registry credentials: %w", err)
		}
		host := c.Host
		if host == "index.docker.io" || host == "docker.io" {
			host = "https://index.docker.io/v1/"
		}
		out.Auths[host] = data
	}
	if len(out.Auths) == 0 {
		return nil
	}
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("registry credentials: %w", err)
	}
	return h.write(".docker/config.json", string(data), 0o644)
}

func (h Home) write(name, content string, mode os.FileMode) error {
	path := filepath.Join(h.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	return nil
}
