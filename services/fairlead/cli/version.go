// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"sigs.k8s.io/yaml"
)

// versionPatience is how long `fairlead version` waits for the server, unless the user says.
const versionPatience = "5s"

// versions is what `fairlead version` tells.
type versions struct {
	Client clientVersion `json:"clientVersion"`
	Server *serverHealth `json:"server,omitempty"`
}

type clientVersion struct {
	Version  string `json:"version"`
	Go       string `json:"goVersion"`
	Platform string `json:"platform"`
}

// serverHealth is what a server tells of itself to who has no token.
type serverHealth struct {
	Address string `json:"address"`
	Status  string `json:"status"`
}

func newVersion(o *options) *cobra.Command {
	var output string
	var clientOnly bool
	cmd := &cobra.Command{
		Use:               "version [flags]",
		Short:             "Show the version of this program, and whether the server answers",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return usage(cmd, "version takes no arguments, got %q", args[0])
			case output != "" && output != formJSON && output != formYAML:
				return usage(cmd, "-o %s is not a form of output; there are json and yaml", output)
			}
			v := versions{Client: clientVersion{o.version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}}
			if !clientOnly {
				health, err := o.health(cmd.Context())
				if err != nil {
					return err
				}
				v.Server = health
			}
			return o.writeVersions(v, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "form of the output: json or yaml")
	cmd.Flags().BoolVar(&clientOnly, "client", false, "do not ask the server")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{formJSON, formYAML}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// health asks the server how it is. That it does not answer is no error.
func (o *options) health(ctx context.Context) (*serverHealth, error) {
	if o.requestTimeout == "0" {
		o.requestTimeout = versionPatience
	}
	address, err := o.address()
	if err != nil {
		return nil, err
	}
	conn, err := o.dial(false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("health of the server: %w", ctx.Err())
	case err != nil:
		return &serverHealth{address, "not reachable"}, nil
	case answer.GetStatus() == healthv1.HealthCheckResponse_SERVING:
		return &serverHealth{address, "serving"}, nil
	}
	return &serverHealth{address, "not ready"}, nil
}

func (o *options) writeVersions(v versions, output string) error {
	if output == "" {
		fmt.Fprintf(o.streams.Out, "Client: %s (%s, %s)\n", v.Client.Version, v.Client.Go, v.Client.Platform)
		if v.Server != nil {
			fmt.Fprintf(o.streams.Out, "Server: %s at %s\n", v.Server.Status, v.Server.Address)
		}
		return nil
	}
	data, err := json.MarshalIndent(v, "", "    ")
	data = append(data, '\n')
	if output == formYAML && err == nil {
		data, err = yaml.JSONToYAML(data)
	}
	if err != nil {
		return fmt.Errorf("write version: %w", err)
	}
	_, err = o.streams.Out.Write(data)
	return err //nolint:wrapcheck // names the file
}
