// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/wire"
)

// together has the server apply all documents in one step.
func (a *applier) together(ctx context.Context, c *client.Client, docs []document) error {
	var all bytes.Buffer
	for _, doc := range docs {
		all.Write(doc.JSON)
		all.WriteString("\n---\n")
	}
	req := &metav1.ApplyRequest{Documents: all.Bytes(), Namespace: a.options.namespace, FieldManager: wire.DefaultManager, Force: a.force}
	if a.dryRun.on() {
		req.DryRun = []string{"All"}
	}
	answer, err := metav1.NewApplyServiceClient(c.Conn()).Apply(ctx, req)
	if err != nil {
		return locateCauses(err, docs, c)
	}
	for _, r := range apply.Results(answer) {
		a.tell(c, r)
	}
	return nil
}

// locateCauses says of each fault that the server found which document in which file it is in.
func locateCauses(err error, docs []document, c *client.Client) error {
	if _, away := asPeerError(err); away {
		return err
	}
	e := apierror.FromStatus(err)
	byDocument := map[int][]apierror.Cause{}
	for _, cause := range e.Causes {
		index, field, ok := cutDocument(cause.Field)
		if !ok || index >= len(docs) {
			return e // not about documents
		}
		cause.Field = field
		byDocument[index] = append(byDocument[index], cause)
	}
	if len(byDocument) == 0 {
		return e
	}
	var all []error
	for i, doc := range docs {
		causes := byDocument[i]
		if len(causes) == 0 {
			continue
		}
		one := *e
		one.Causes, one.Name, one.Message = causes, doc.Name, causes[0].Message
		if causes[0].Field != "" {
			what := " is invalid: "
			if e.Reason == apierror.ReasonConflict {
				what = " conflicts: "
			}
			one.Message = doc.Kind + " " + strconv.Quote(doc.Name) + what + causes[0].Field + ": " + causes[0].Message
		}
		all = append(all, locateOne(&apply.DocumentError{Document: doc.Document, Err: &one}, docs, c))
	}
	return errors.Join(append(all, errors.New("nothing was applied, since not every document can be"))...)
}

// cutDocument splits a path such as documents[2].spec.image.
func cutDocument(path string) (index int, field string, ok bool) {
	rest, ok := strings.CutPrefix(path, "documents[")
	number, field, closed := strings.Cut(rest, "]")
	index, err := strconv.Atoi(number)
	return index, strings.TrimPrefix(field, "."), ok && closed && err == nil && index >= 0
}
