// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

// The conditions of a revision.
const (
	ResourcesAvailable = "ResourcesAvailable"
	ContainerHealthy   = "ContainerHealthy"
	Active             = "Active"
)

// The reasons of a revision's conditions, besides those of exit codes (ExitCode and the number).
const (
	ReasonDeploying                = "Deploying"
	ReasonActivating               = "Activating"
	ReasonNoTraffic                = "NoTraffic"
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	ReasonContainerMissing         = "ContainerMissing"
	ReasonImagePullFailed          = "ImagePullFailed"
	ReasonContainerNotStarted      = "ContainerNotStarted"
	ReasonUnschedulable            = "Unschedulable"
	ReasonQuotaExceeded            = "QuotaExceeded"
	ReasonFailedCreate             = "FailedCreate"
)

// The reasons of events.
const (
	eventScaled = "Scaled"
	eventReady  = "RevisionReady"
)
