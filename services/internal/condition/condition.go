// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package condition keeps the conditions in an object's status: functions of state, sorted, with times that move only
// when a status does.
package condition

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// The values of a condition's status.
const (
	True    = "True"
	False   = "False"
	Unknown = "Unknown"
)

// Ready is the type of the condition that sums up the others, for what runs on; Succeeded is it for what ends.
const (
	Ready     = "Ready"
	Succeeded = "Succeeded"
)

// Get returns the condition of a type, or nil.
func Get(conditions []*metav1.Condition, conditionType string) *metav1.Condition {
	for _, c := range conditions {
		if c.GetType() == conditionType {
			return c
		}
	}
	return nil
}

// IsTrue tells whether the condition of a type is there and True.
func IsTrue(conditions []*metav1.Condition, conditionType string) bool {
	return Get(conditions, conditionType).GetStatus() == True
}

// Set returns the conditions with one set, sorted by type. Its time is now where its status differs from before, and
// stays what it was otherwise. The argument is not changed.
func Set(conditions []*metav1.Condition, now time.Time, conditionType, status, reason, message string) []*metav1.Condition {
	next := &metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message,
		LastTransitionTime: timestamppb.New(now.UTC().Truncate(time.Second)),
	}
	out := make([]*metav1.Condition, 0, len(conditions)+1)
	for _, c := range conditions {
		if c.GetType() != conditionType {
			out = append(out, c)
		} else if c.GetStatus() == status {
			next.LastTransitionTime = c.GetLastTransitionTime()
		}
	}
	out = append(out, next)
	slices.SortFunc(out, func(a, b *metav1.Condition) int { return strings.Compare(a.GetType(), b.GetType()) })
	return out
}

// Summarize sets the condition that sums up others: False as soon as one of them is, with the first such's reason and
// message; Unknown while one of them is or is missing; True otherwise.
func Summarize(conditions []*metav1.Condition, now time.Time, conditionType string, of ...string) []*metav1.Condition {
	status, reason, message := True, "", ""
	for _, t := range of {
		c := Get(conditions, t)
		switch {
		case c.GetStatus() == False:
			return Set(conditions, now, conditionType, False, c.GetReason(), c.GetMessage())
		case c.GetStatus() != True && status == True:
			status, reason, message = Unknown, c.GetReason(), c.GetMessage()
		}
	}
	return Set(conditions, now, conditionType, status, reason, message)
}
