// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"fairlead.dev/services/build/pod"
)

// mark is an annotation that says what a Secret is for.
type mark struct {
	key, value string
	// use is empty for one that seems to be meant so and is not; text says why.
	use  pod.CredentialUse
	text string
}

// meant is how annotations look that say what a Secret is for, or were meant to: a word and a number.
var meant = regexp.MustCompile(`^(git|docker|[a-z]+[-_.]?[0-9]+)$`)

// annotations finds what a Secret is for, sorted by key: `build.knative.dev/` or `tekton.dev/`, then `git-` or `docker-`
// and anything, mostly a number.
func annotations(all map[string]string) []mark {
	var out []mark
	for _, key := range slices.Sorted(maps.Keys(all)) {
		prefix, name, ok := strings.Cut(key, "/")
		if !ok || prefix != "build.knative.dev" && prefix != "tekton.dev" {
			continue
		}
		m := mark{key: key, value: all[key]}
		switch {
		case strings.HasPrefix(name, "git-") && name != "git-":
			m.use = pod.ForGit
		case strings.HasPrefix(name, "docker-") && name != "docker-":
			m.use = pod.ForDocker
		case meant.MatchString(name), name == "git-", name == "docker-":
			m.text = fmt.Sprintf("nobody reads it; write %s/git-0 for a git server, or %s/docker-0 for a registry", prefix, prefix)
		default:
			continue
		}
		out = append(out, m)
	}
	return out
}
