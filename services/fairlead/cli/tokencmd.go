// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	execv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/fairlead/cli/session"
)

func newToken(o *options) *cobra.Command {
	var exec bool
	cmd := &cobra.Command{
		Use:   "token [flags]",
		Short: "Print, issue and revoke tokens",
		Long: `Print the token with which one is signed in, renewed if need be. With --exec-credential it comes in the form that kubectl
and other clients of Kubernetes want of an exec plugin; "fairlead kubeconfig --exec" makes a kubeconfig that has them ask.`,
		Example: `  # A token for curl
  curl -H "Authorization: Bearer $(fairlead token)" https://fairlead.example:8443/apis

  # A token of a service account that holds for a quarter of an hour
  fairlead token issue --service-account robot -n shop --duration 15m`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "token takes no arguments, got %q; there are the commands issue and revoke", args[0])
			}
			t, err := o.token()
			if err != nil {
				return err
			}
			value, err := t.fresh(cmd.Context())
			if err != nil {
				return err
			}
			if !exec {
				fmt.Fprintln(o.streams.Out, value)
				return nil
			}
			return o.writeExecCredential(value, session.Expires(value))
		},
	}
	cmd.Flags().BoolVar(&exec, "exec-credential", false, "print it as an ExecCredential of client.authentication.k8s.io/v1")
	cmd.AddCommand(newTokenIssue(o), newTokenRevoke(o))
	return cmd
}

// writeExecCredential writes a token as clients of Kubernetes want it of an exec plugin.
func (o *options) writeExecCredential(value string, expires time.Time) error {
	c := &execv1.ExecCredential{
		TypeMeta: kmetav1.TypeMeta{APIVersion: execv1.SchemeGroupVersion.String(), Kind: "ExecCredential"},
		Status:   &execv1.ExecCredentialStatus{Token: value},
	}
	if !expires.IsZero() {
		// Clients ask again once it has passed: a little before the token ends, so that none ends under way.
		c.Status.ExpirationTimestamp = &kmetav1.Time{Time: expires.Add(-renewBefore)}
	}
	return json.NewEncoder(o.streams.Out).Encode(c) //nolint:wrapcheck // names the file
}

// issue is what `fairlead token issue` was told.
type issue struct {
	user, serviceAccount string
	groups, audiences    []string
	duration             time.Duration
	exec                 bool
	output               string
}

// issuedToken is a token, and what there is to know of it.
type issuedToken struct {
	Token   string    `json:"token"`
	ID      string    `json:"id,omitempty"`
	Expires time.Time `json:"expirationTimestamp"`
}

func newTokenIssue(o *options) *cobra.Command {
	i := &issue{}
	cmd := &cobra.Command{
		Use:   "issue (--user NAME | --service-account NAME) [--duration DURATION] [--audience AUDIENCE]... [flags]",
		Short: "Issue a token for a user or a service account",
		Long: `Issue a token for a user or a service account, and print it. It is not shown again. A token gives only rights that its
maker has.`,
		Example: `  # A token for ada, who is one of the developers, for a day
  fairlead token issue --user ada --group developers --duration 24h

  # A token of a service account, for something else than Fairlead
  fairlead token issue --service-account robot -n shop --audience vault.example`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return usage(cmd, "token issue takes no arguments, got %q; name the user with --user", args[0])
			case (i.user == "") == (i.serviceAccount == ""):
				return usage(cmd, "give either --user or --service-account")
			case len(i.groups) > 0 && i.serviceAccount != "":
				return usage(cmd, "--group goes with --user only: the groups of service accounts are given")
			case i.duration < 0 || i.duration%time.Second != 0:
				return usage(cmd, "--duration %s is no number of seconds above 0", i.duration)
			case i.exec && i.output != "":
				return usage(cmd, "--exec-credential is a form of output by itself; leave out -o")
			}
			if err := checkForm(cmd, i.output); err != nil {
				return err
			}
			return i.run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&i.user, "user", "", "user whom the token is for")
	f.StringSliceVar(&i.groups, "group", nil, "group of the user; may be repeated")
	f.StringVar(&i.serviceAccount, "service-account", "", "service account of the namespace whom the token is for")
	f.StringSliceVar(&i.audiences, "audience", nil, "whom the token is meant for; may be repeated (default: Fairlead)")
	f.DurationVar(&i.duration, "duration", 0, "how long it holds; 0 means what the server has for a default")
	f.BoolVar(&i.exec, "exec-credential", false, "print it as an ExecCredential of client.authentication.k8s.io/v1")
	addForm(cmd, &i.output)
	return cmd
}

func (i *issue) run(ctx context.Context, o *options) error {
	seconds := int64(i.duration / time.Second)
	made, err := ofServer(o, authv1.NewTokenServiceClient, func(c authv1.TokenServiceClient) (*issuedToken, error) {
		if i.serviceAccount != "" {
			res, err := c.IssueForServiceAccount(ctx, &authv1.IssueForServiceAccountRequest{
				Namespace: o.namespace, Name: i.serviceAccount, Audiences: i.audiences, ExpirationSeconds: seconds,
			})
			return &issuedToken{Token: res.GetToken(), Expires: res.GetExpirationTimestamp().AsTime()}, err //nolint:wrapcheck // ofServer does
		}
		res, err := c.Issue(ctx, &authv1.IssueRequest{User: i.user, Groups: i.groups, Audiences: i.audiences, ExpirationSeconds: seconds})
		return &issuedToken{Token: res.GetToken(), ID: res.GetId(), Expires: res.GetExpirationTimestamp().AsTime()}, err //nolint:wrapcheck // ofServer does
	})
	switch {
	case err != nil:
		return err
	case i.exec:
		return o.writeExecCredential(made.Token, made.Expires)
	case i.output != "":
		return o.writeForm(made, i.output)
	}
	fmt.Fprintln(o.streams.Out, made.Token)
	return nil
}

func newTokenRevoke(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke (ID | -) [flags]",
		Short: "Make a token worthless at once",
		Long: `Make a token that the server issued worthless at once. It is named by its id, which "token issue -o json" tells, or read
from the standard input.`,
		Example: `  # A token that somebody lost
  fairlead token revoke - < token`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "token revoke takes one argument, the token's id, or - to read the token from the standard input")
			}
			id := args[0]
			if strings.Count(id, ".") == 2 {
				return usage(cmd, "a token on the command line is seen by others; give its id, or - and write it to the standard input")
			}
			if id == "-" {
				t, err := readTokenFrom(o.streams.In, "the standard input")
				if err != nil {
					return err
				}
				id = cmp.Or(session.ID(t.value), t.value)
			}
			_, err := ofServer(o, authv1.NewTokenServiceClient, func(c authv1.TokenServiceClient) (*authv1.RevokeResponse, error) {
				return c.Revoke(cmd.Context(), &authv1.RevokeRequest{Id: id}) //nolint:wrapcheck // ofServer does
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(o.streams.Out, "token %s revoked\n", plain(id))
			return nil
		},
	}
}
