// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"fairlead.dev/services/internal/apierror"
)

// usageError is a mistake on the command line.
type usageError struct {
	command, text string
}

func (e *usageError) Error() string { return e.text }

// usage makes the error of a command that was called in a wrong way.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Sprintf(format, args...)}
}

// locatedError is an error about something that has a place: a document in a file.
type locatedError struct {
	place string
	err   error
}

func (e *locatedError) Error() string { return e.place + ": " + e.err.Error() }
func (e *locatedError) Unwrap() error { return e.err }

// report prints an error; several that are joined one after another.
func report(w io.Writer, err error) {
	for _, one := range split(err) {
		fmt.Fprintln(w, strings.TrimRight(plain(message(one)), "\n"))
	}
}

// split returns the errors that errors.Join made one of.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, split(one)...)
	}
	return all
}

// message words an error: what is wrong, where, and what to do.
func message(err error) string {
	if wrong, ok := errors.AsType[*usageError](err); ok {
		return fmt.Sprintf("error: %s\nSee '%s --help' for usage.", wrong.text, wrong.command)
	}
	if e, ok := asPeerError(err); ok {
		return e.text
	}
	place := ""
	if located, ok := errors.AsType[*locatedError](err); ok {
		place = located.place + ": "
	}
	e, ok := errors.AsType[*apierror.Error](err)
	if !ok {
		return "error: " + err.Error()
	}
	lead := "error: "
	if _, remote := status.FromError(errors.Unwrap(e)); remote && errors.Unwrap(e) != nil {
		lead = fmt.Sprintf("Error from server (%s): ", e.Reason)
	}
	return lead + place + faults(e)
}

// faults words an error with each of its faults on a line of its own.
func faults(e *apierror.Error) string {
	if len(e.Causes) == 0 || len(e.Causes) == 1 && strings.Contains(e.Message, e.Causes[0].Message) {
		return e.Message
	}
	head := e.Message
	if before, _, ok := strings.Cut(e.Message, " is invalid: "); ok {
		head = before + " is invalid"
	} else if strings.Contains(e.Message, e.Causes[0].Message) { // it is nothing but the faults
		head = "the document has faults"
	}
	var b strings.Builder
	b.WriteString(head + ":")
	for _, c := range e.Causes {
		b.WriteString("\n  ")
		if c.Field != "" && !strings.Contains(c.Message, c.Field) {
			b.WriteString(c.Field + ": ")
		}
		b.WriteString(c.Message)
	}
	return b.String()
}

// plain makes text that others wrote safe for terminals: control characters are spelled out.
func plain(text string) string {
	clean := func(r rune) bool { return r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) }
	if strings.IndexFunc(text, clean) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if clean(r) {
			fmt.Fprintf(&b, `\x%02x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// without drops the errors of a reason.
func without(err error, reason apierror.Reason) error {
	var left []error
	for _, one := range split(err) {
		if !apierror.Is(one, reason) {
			left = append(left, one)
		}
	}
	return errors.Join(left...)
}
