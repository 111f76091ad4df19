// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package contract is what the build service and the binary in its pods agree on: paths in the pod, and what the binary
// leaves in a container's termination message.
package contract

import (
	"encoding/json"
	"fmt"
	"os"
)

// Paths in the pod of a build.
const (
	// Workspace is the working directory of every step; all steps share it.
	Workspace = "/workspace"
	// Home is $HOME of every step; all steps share it.
	Home = "/builder/home"
	// BinDir holds the step binary, put there by `step install`.
	BinDir = "/fairlead/bin"
	// Binary is the step binary in a step's container.
	Binary = BinDir + "/step"
	// ImageBinary is the step binary in its own image.
	ImageBinary = "/step"
	// RunDir is where steps tell each other that they have started and how they ended.
	RunDir = "/fairlead/run"
	// SecretsDir holds a folder for each Secret with credentials.
	SecretsDir = "/fairlead/secrets"
	// CredentialsDir holds what is rendered of the Secrets, for the homes of the steps.
	CredentialsDir = "/fairlead/credentials"
	// TerminationLog is where Kubernetes reads a container's termination message, unless the container says otherwise.
	TerminationLog = "/dev/termination-log"
)

// The reasons in termination messages.
const (
	// ReasonSkipped is of a step that did not run, since an earlier one failed.
	ReasonSkipped = "Skipped"
	// ReasonCommandNotFound is of a step whose command is not in its image.
	ReasonCommandNotFound = "CommandNotFound"
	// ReasonCannotStart is of a step whose command is there and does not start.
	ReasonCannotStart = "CannotStart"
	// ReasonSourceReady is of a source that was fetched.
	ReasonSourceReady = "SourceReady"
	// ReasonRepositoryNotFound is of a source whose repository does not exist, or is hidden from the caller.
	ReasonRepositoryNotFound = "RepositoryNotFound"
	// ReasonRevisionNotFound is of a source whose repository has no such revision.
	ReasonRevisionNotFound = "RevisionNotFound"
	// ReasonSourceUnauthorized is of a source whose repository wants other credentials.
	ReasonSourceUnauthorized = "SourceUnauthorized"
	// ReasonSourceUnreachable is of a source whose server does not answer.
	ReasonSourceUnreachable = "SourceUnreachable"
	// ReasonSubPathNotFound is of a source that has no such folder.
	ReasonSubPathNotFound = "SubPathNotFound"
	// ReasonSourceFailed is of a source that could not be fetched for another reason.
	ReasonSourceFailed = "SourceFailed"
	// ReasonCredentials is of credentials that cannot be used.
	ReasonCredentials = "CredentialsInvalid"
	// ReasonCredentialsUnused is of a pod that was prepared without credentials that cannot be used.
	ReasonCredentialsUnused = "CredentialsUnused"
	// ReasonHostKey is of a source whose server shows a host key that known_hosts does not have.
	ReasonHostKey = "HostKeyRefused"
)

// Exit codes of the step binary, where the user's command has given none.
const (
	// ExitSkipped is of a step that did not run.
	ExitSkipped = 1
	// ExitCannotStart is of a command that does not start.
	ExitCannotStart = 126
	// ExitNotFound is of a command that is not there.
	ExitNotFound = 127
)

// maxMessage is how many bytes of a message are kept: Kubernetes keeps 4096 of a termination message, for all containers
// of a pod together 12 KiB.
const maxMessage = 1024

// Message is a container's termination message.
type Message struct {
	// Reason is one of the Reason constants.
	Reason string `json:"reason"`
	// Message says in a sentence what the matter is.
	Message string `json:"message,omitempty"`
	// Commit is the commit that was fetched.
	Commit string `json:"commit,omitempty"`
}

// Write puts the message where Kubernetes reads it.
func (m Message) Write(path string) error {
	if len(m.Message) > maxMessage {
		m.Message = m.Message[:maxMessage] + " …"
	}
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("termination message: %w", err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("termination message: %w", err)
	}
	return nil
}

// ParseMessage reads a termination message; ok is false for one that the step binary has not written.
func ParseMessage(text string) (m Message, ok bool) {
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.Reason == "" {
		return Message{}, false
	}
	return m, true
}
