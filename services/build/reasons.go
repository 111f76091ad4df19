// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

// Reasons of the condition Succeeded.
const (
	// While it is Unknown.
	reasonPending       = "Pending"
	reasonRunning       = "Running"
	reasonQuotaExceeded = "QuotaExceeded"

	// When it is True.
	reasonSucceeded = "Succeeded"

	// When it is False.
	reasonTimeout           = "BuildTimeout"
	reasonCancelled         = "BuildCancelled"
	reasonStepFailed        = "StepFailed"
	reasonStepCannotStart   = "StepCannotStart"
	reasonSourceFailed      = "SourceFailed"
	reasonCredentials       = "CredentialsInvalid"
	reasonImagePullFailed   = "ImagePullFailed"
	reasonPodEvicted        = "PodEvicted"
	reasonPodLost           = "PodLost"
	reasonPodCreationFailed = "PodCreationFailed"
	reasonTemplateNotServed = "TemplateNotServed"
)

// conditionCredentials is False, with the severity Warning, while there are Secrets that can never be of use to a build. A
// build that has always been without such has no such condition.
const conditionCredentials = "CredentialsUsable"

// reasonSecretsUnused is of conditionCredentials when it is False.
const reasonSecretsUnused = "SecretsUnused"

// statusCancelled in spec.status ends a build.
const statusCancelled = "BuildCancelled"

// builderCluster is the only builder there is: pods of the cluster.
const builderCluster = "Cluster"

// Reasons of Events.
const (
	eventStarted       = "Started"
	eventSourceFetched = "SourceFetched"
	eventStepCompleted = "StepCompleted"
)
