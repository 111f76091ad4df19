// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package route

// The conditions of a route, besides Ready.
const (
	AllTrafficAssigned     = "AllTrafficAssigned"
	IngressReady           = "IngressReady"
	CertificateProvisioned = "CertificateProvisioned"
)

// The reasons of a route's conditions.
const (
	ReasonRevisionMissing      = "RevisionMissing"
	ReasonRevisionFailed       = "RevisionFailed"
	ReasonRevisionUnready      = "RevisionUnready"
	ReasonConfigurationMissing = "ConfigurationMissing"
	ReasonNotOwned             = "NotOwned"
	ReasonPlaceholderFailed    = "PlaceholderServiceFailed"
	ReasonTLSNotEnabled        = "TLSNotEnabled"
)
