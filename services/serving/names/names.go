// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package names holds the names that serving gives and reads: labels, annotations, the names of what it makes, and hosts.
package names

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Group is the API group of serving's kinds.
const Group = "serving.knative.dev"

// Labels that tie objects and pods to what they are part of.
const (
	LabelService                 = "serving.knative.dev/service"
	LabelServiceUID              = "serving.knative.dev/serviceUID"
	LabelConfiguration           = "serving.knative.dev/configuration"
	LabelConfigurationUID        = "serving.knative.dev/configurationUID"
	LabelConfigurationGeneration = "serving.knative.dev/configurationGeneration"
	LabelRevision                = "serving.knative.dev/revision"
	LabelRevisionUID             = "serving.knative.dev/revisionUID"
	LabelRoute                   = "serving.knative.dev/route"
	LabelTag                     = "serving.knative.dev/tag"
	LabelVisibility              = "networking.knative.dev/visibility"
)

// VisibilityClusterLocal is the value of LabelVisibility that keeps a route to names of the cluster.
const VisibilityClusterLocal = "cluster-local"

// Annotations on serving's objects.
const (
	AnnotationCreator          = "serving.knative.dev/creator"
	AnnotationLastModifier     = "serving.knative.dev/lastModifier"
	AnnotationProgressDeadline = "serving.knative.dev/progress-deadline"
	AnnotationLastApplied      = "kubectl.kubernetes.io/last-applied-configuration"
	// AnnotationForm holds, on stored objects, in which of its ways v1alpha1 says what they say.
	AnnotationForm = "serving.fairlead.dev/v1alpha1"
	// AnnotationBuild holds the `build` of a Configuration in v1alpha1, as JSON.
	AnnotationBuild = "serving.fairlead.dev/build"
)

// The names that a container gets to know, as environment variables.
const (
	EnvPort          = "PORT"
	EnvService       = "K_SERVICE"
	EnvConfiguration = "K_CONFIGURATION"
	EnvRevision      = "K_REVISION"
)

// What a container is given that says nothing else.
const (
	DefaultContainer       = "user-container"
	DefaultPort      int32 = 8080
	PortHTTP1              = "http1"
	PortH2C                = "h2c"
)

// maxLabel is how long a DNS label and the value of a Kubernetes label can be.
const maxLabel = 63

// Revision names the revision that a configuration makes at a generation.
func Revision(configuration string, generation int64) string {
	return Child(configuration, fmt.Sprintf("-%05d", generation))
}

// ReplicaSet names the ReplicaSet of a revision.
func ReplicaSet(revision string) string { return Child(revision, "-deployment") }

// Child returns parent and suffix as one name. Where that were longer than a label, the middle becomes a hash.
func Child(parent, suffix string) string {
	if len(parent)+len(suffix) <= maxLabel {
		return parent + suffix
	}
	sum := sha256.Sum256([]byte(parent + suffix))
	hash := hex.EncodeToString(sum[:16])
	keep := maxLabel - len(hash) - 1 - len(suffix)
	if keep < 1 {
		return "x" + hash
	}
	return strings.TrimRight(parent[:keep], "-.") + "-" + hash + suffix
}

// Tagged names a tag of a route, as hosts have it.
func Tagged(tag, route string) string {
	if tag == "" {
		return route
	}
	return tag + "-" + route
}

// ExternalHost is the host at which a route, or one of its tags, answers from outside the cluster.
func ExternalHost(name, namespace, domain string) string {
	return name + "." + namespace + "." + domain
}

// ClusterHost is the host at which it answers from inside.
func ClusterHost(name, namespace string) string { return name + "." + namespace + ".svc.cluster.local" }

// ClusterHosts are all the hosts by which pods may call it.
func ClusterHosts(name, namespace string) []string {
	return []string{ClusterHost(name, namespace), name + "." + namespace + ".svc", name + "." + namespace}
}
