// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"slices"
	"strings"
	"time"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/services/build/account"
	"fairlead.dev/services/build/step/credentials"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/reconcile"
)

// longestWarning is how many bytes of warnings a condition holds.
const longestWarning = 2048

// checkCredentials tells of Secrets that can never be of use, and ends a build whose source cannot be fetched without one.
func (r *reconciler) checkCredentials(ctx context.Context, s *round, a account.Account, faults []credentials.Fault) (reconcile.Outcome, error) {
	for _, f := range faults {
		a.Findings = append(a.Findings, account.Finding{Secret: f.Secret, Text: f.Err.Error()})
	}
	texts := make([]string, 0, len(a.Findings))
	for _, f := range a.Findings {
		texts = append(texts, f.String())
	}
	if fault := missingKey(s.build, a); fault != nil {
		return r.record(ctx, s, func(b *buildv1.Build) {
			warned(b, s.now, texts)
			failed(b, s.now, reasonCredentials, fault.Error())
		})
	}
	if len(texts) == 0 && condition.Get(s.build.GetStatus().GetConditions(), conditionCredentials) == nil {
		return reconcile.Go, nil
	}
	return r.record(ctx, s, func(b *buildv1.Build) { warned(b, s.now, texts) })
}

// missingKey is why a source cannot be fetched: one over ssh cannot without a key. Others may be public, whatever is wrong
// with the Secrets.
func missingKey(b *buildv1.Build, a account.Account) error {
	repository, err := credentials.ParsePlace(b.GetSpec().GetSource().GetGit().GetUrl())
	if err != nil || repository.Scheme != credentials.SSH {
		return nil //nolint:nilerr // there is none, or it has passed validation
	}
	if _, ok := credentials.Match(a.Offers, repository); ok {
		return nil
	}
	hints := append(a.Hints(repository.Host), credentials.NearMisses(a.Offers, repository)...)
	return credentials.NoKey(repository, hints) //nolint:wrapcheck // a sentence for people
}

// warned records what is wrong with Secrets.
func warned(b *buildv1.Build, now time.Time, texts []string) {
	s := status(b)
	if len(texts) == 0 {
		if condition.Get(s.GetConditions(), conditionCredentials) != nil {
			s.Conditions = condition.Set(s.GetConditions(), now, conditionCredentials, condition.True, "", "")
		}
		return
	}
	message := strings.Join(slices.Compact(slices.Clone(texts)), "; ")
	if len(message) > longestWarning {
		message = strings.ToValidUTF8(message[:longestWarning], "") + " …"
	}
	s.Conditions = condition.Set(s.GetConditions(), now, conditionCredentials, condition.False, reasonSecretsUnused, message)
	condition.Get(s.GetConditions(), conditionCredentials).Severity = "Warning"
}
