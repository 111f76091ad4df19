// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"time"
)

// Level says how much of a call is kept.
type Level string

// Levels, each keeping what the one before it keeps, and more.
const (
	LevelNone            Level = "None"
	LevelMetadata        Level = "Metadata"
	LevelRequest         Level = "Request"
	LevelRequestResponse Level = "RequestResponse"
)

func levels() []Level {
	return []Level{LevelNone, LevelMetadata, LevelRequest, LevelRequestResponse}
}

// KeepsRequest tells whether what was sent is kept.
func (l Level) KeepsRequest() bool { return l == LevelRequest || l == LevelRequestResponse }

// KeepsResponse tells whether what was answered is kept.
func (l Level) KeepsResponse() bool { return l == LevelRequestResponse }

// Stage is a moment of a call. There is no RequestReceived: until a call is over, nothing is known of it that is not in
// the event of its end.
type Stage string

// Stages.
const (
	// StageResponseStarted is when a stream sends its first message.
	StageResponseStarted Stage = "ResponseStarted"
	// StageResponseComplete is when a call is over.
	StageResponseComplete Stage = "ResponseComplete"
	// StagePanic is when a call ends in a panic.
	StagePanic Stage = "Panic"
	// stageRequestReceived may be named in policies, where it stands in those written for Kubernetes.
	stageRequestReceived Stage = "RequestReceived"
)

const apiVersion = "audit.k8s.io/v1"

// Event is one line of the log, in the form of audit.k8s.io/v1.
type Event struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Level      Level  `json:"level"`
	// AuditID is the id of the request.
	AuditID string `json:"auditID"`
	Stage   Stage  `json:"stage"`
	// RequestURI is the gRPC method, as `/SERVICE/METHOD`.
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	// User is who really called.
	User User `json:"user"`
	// ImpersonatedUser is whom the caller acted as; nil if as nobody else.
	ImpersonatedUser *User `json:"impersonatedUser,omitempty"`
	// SourceIPs are where the call came from, the last hop last. All but that one are what the caller says.
	SourceIPs      []string         `json:"sourceIPs,omitempty"`
	UserAgent      string           `json:"userAgent,omitempty"`
	ObjectRef      *ObjectReference `json:"objectRef,omitempty"`
	ResponseStatus *Status          `json:"responseStatus,omitempty"`
	// RequestObject and ResponseObject hold no secrets.
	RequestObject            json.RawMessage   `json:"requestObject,omitempty"`
	ResponseObject           json.RawMessage   `json:"responseObject,omitempty"`
	RequestReceivedTimestamp MicroTime         `json:"requestReceivedTimestamp"`
	StageTimestamp           MicroTime         `json:"stageTimestamp"`
	Annotations              map[string]string `json:"annotations,omitempty"`
}

// User is who called. It is empty where that is not known.
type User struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// ObjectReference is what was called for.
type ObjectReference struct {
	Resource    string `json:"resource,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name,omitempty"`
	APIGroup    string `json:"apiGroup,omitempty"`
	APIVersion  string `json:"apiVersion,omitempty"`
	Subresource string `json:"subresource,omitempty"`
}

// Status is what was answered, in the form of a Status of Kubernetes.
type Status struct {
	Metadata struct{} `json:"metadata"`
	Status   string   `json:"status,omitempty"`
	Message  string   `json:"message,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Code     int      `json:"code"`
}

// MicroTime is a time that is written with microseconds, in UTC.
type MicroTime struct{ time.Time }

// MarshalJSON writes the time.
func (t MicroTime) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000000Z"`), nil
}
