// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/client"
)

// Variables of the environment that stand in for flags.
const (
	envServer    = "FAIRLEAD_SERVER"
	envTokenFile = "FAIRLEAD_TOKEN_FILE"
	envToken     = "FAIRLEAD_TOKEN"
)

const (
	defaultServer    = "127.0.0.1:9090"
	defaultNamespace = "default"
)

// options are what all commands share.
type options struct {
	streams Streams
	version string
	kinds   []kinds.Kind

	server, tokenFile, caFile string
	plaintext                 bool
	requestTimeout            string
	namespace                 string
	// namespaceGiven tells that the namespace was chosen, and is not the default.
	namespaceGiven bool
}

func (o *options) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&o.server, "server", "", "address and port of the server's gRPC endpoint (default $"+envServer+", else "+defaultServer+")")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the token to send; $"+envToken+" may hold the token itself "+
		"(default $"+envTokenFile+", else .fairlead/token, else ~/.config/fairlead/token)")
	f.StringVar(&o.caFile, "ca-file", "", "file with the certificates, in PEM, that the server's must be signed by (default: those of the system)")
	f.BoolVar(&o.plaintext, "plaintext", false, "talk to a server that is not on this machine without TLS")
	f.StringVar(&o.requestTimeout, "request-timeout", "0", "how long one request may take, such as 10s; 0 means without end")
	f.StringVarP(&o.namespace, "namespace", "n", defaultNamespace, "namespace of the objects")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		o.namespaceGiven = cmd.Flags().Changed("namespace")
		if o.namespace == "" {
			return usage(cmd, "--namespace is empty; leave it out for %q, or use --all-namespaces where there is that flag", defaultNamespace)
		}
		return nil
	}
}

// timeout reads --request-timeout; 0 means none.
func (o *options) timeout() (time.Duration, error) {
	if seconds, err := strconv.Atoi(o.requestTimeout); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(o.requestTimeout)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--request-timeout is %q; it may be a duration such as 10s or 2m, or 0", o.requestTimeout)
	}
	return d, nil
}

// withClient runs fn with a client of the server.
func (o *options) withClient(fn func(*client.Client) error) error {
	conn, err := o.dial(true)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return fn(client.New(conn, o.kinds))
}
