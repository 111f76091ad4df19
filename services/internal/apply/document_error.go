// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"strings"

	"fairlead.dev/services/internal/apierror"
)

// DocumentError is what is wrong with one document.
type DocumentError struct {
	// Document is the document.
	Document Document
	// Err is what is wrong.
	Err *apierror.Error
}

func (f *DocumentError) Error() string {
	return fmt.Sprintf("document %d (%s %s): %v", f.Document.Index, f.Document.Kind, f.Document.Name, f.Err)
}

// Unwrap returns the error without the document.
func (f *DocumentError) Unwrap() error { return f.Err }

// DocumentsError is the error of documents of which none was applied, since some are at fault. It wraps one
// apierror.Error that has a cause for each fault.
type DocumentsError struct {
	// List is what is wrong with each, in order.
	List []DocumentError

	combined *apierror.Error
}

func (f *DocumentsError) Error() string { return f.combined.Error() }

// Unwrap returns the faults as one error.
func (f *DocumentsError) Unwrap() error { return f.combined }

// NewDocumentsError makes one error of what is wrong with some of so many documents; list must not be empty.
func NewDocumentsError(list []DocumentError, documents int) *DocumentsError {
	f := &DocumentsError{List: list}
	f.combine(documents > 1)
	return f
}

// combine makes one error of the list. With several documents, causes name theirs.
func (f *DocumentsError) combine(several bool) {
	first := f.List[0].Err
	e := *first
	f.combined = &e
	if !several {
		return
	}
	e.Causes = nil
	for _, fault := range f.List {
		e.Causes = append(e.Causes, fault.causes()...)
	}
	if len(e.Causes) > len(first.Causes) {
		e.Message = fmt.Sprintf("nothing was applied; the first of %d faults: %s", len(e.Causes), first.Message)
	}
}

func (f *DocumentError) causes() []apierror.Cause {
	place := fmt.Sprintf("documents[%d]", f.Document.Index-1)
	if len(f.Err.Causes) == 0 {
		return []apierror.Cause{{Field: place, Reason: string(f.Err.Reason), Message: f.Err.Message}}
	}
	out := make([]apierror.Cause, len(f.Err.Causes))
	for i, c := range f.Err.Causes {
		if c.Field != "" {
			c.Field = "." + strings.TrimPrefix(c.Field, ".") // Kubernetes begins some paths with a dot
		}
		c.Field = place + c.Field
		out[i] = c
	}
	return out
}
