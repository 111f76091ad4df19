// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
)

// groupAuthenticated is the group that every caller is in, without a token saying so.
const groupAuthenticated = "system:authenticated"

func newWhoAmI(o *options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "whoami [-o yaml|json] [flags]",
		Short: "Show who the server takes one for",
		Example: `  # Who one is, and in which groups
  fairlead whoami`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "whoami takes no arguments, got %q", args[0])
			}
			if err := checkForm(cmd, output); err != nil {
				return err
			}
			who, err := ofServer(o, authv1.NewTokenServiceClient, func(c authv1.TokenServiceClient) (*authv1.WhoAmIResponse, error) {
				return c.WhoAmI(cmd.Context(), &authv1.WhoAmIRequest{}) //nolint:wrapcheck // ofServer does
			})
			if err != nil {
				return err
			}
			return o.writeWho(who, output)
		},
	}
	addForm(cmd, &output)
	return cmd
}

// addForm adds the flag -o with the forms json and yaml.
func addForm(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "", "form of the output: json or yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{formJSON, formYAML}, cobra.ShellCompDirectiveNoFileComp))
}

func checkForm(cmd *cobra.Command, output string) error {
	if output != "" && output != formJSON && output != formYAML {
		return usage(cmd, "-o %s is not a form of output; there are json and yaml", output)
	}
	return nil
}

// writeForm writes a document as JSON or YAML.
func (o *options) writeForm(v any, output string) error {
	data, err := json.MarshalIndent(v, "", "    ")
	data = append(data, '\n')
	if output == formYAML && err == nil {
		data, err = yaml.JSONToYAML(data)
	}
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	_, err = o.streams.Out.Write(data)
	return err //nolint:wrapcheck // names the file
}

// writeWho writes who somebody is as `kubectl auth whoami` does.
func (o *options) writeWho(who *authv1.WhoAmIResponse, output string) error {
	info := authenticationv1.UserInfo{Username: who.GetUser(), UID: who.GetUid(), Groups: who.GetGroups()}
	if !slices.Contains(info.Groups, groupAuthenticated) {
		info.Groups = append(info.Groups, groupAuthenticated)
	}
	for key, values := range who.GetExtra() {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[key] = values.GetItems()
	}
	if output != "" {
		return o.writeForm(&authenticationv1.SelfSubjectReview{
			TypeMeta: kmetav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "SelfSubjectReview"},
			Status:   authenticationv1.SelfSubjectReviewStatus{UserInfo: info},
		}, output)
	}
	var g grid
	g.add("ATTRIBUTE", "VALUE")
	g.add("Username", info.Username)
	if info.UID != "" {
		g.add("UID", info.UID)
	}
	g.add("Groups", "["+strings.Join(info.Groups, " ")+"]")
	keys := make([]string, 0, len(info.Extra))
	for key := range info.Extra {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		g.add("Extra: "+key, "["+strings.Join(info.Extra[key], " ")+"]")
	}
	g.add("Source", who.GetSource())
	return g.flush(o.streams.Out, "")
}
