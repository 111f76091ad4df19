// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	execv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
)

const (
	forDoor    = "front-door"
	forCluster = "cluster"
)

// kubeconfig is what `fairlead kubeconfig` was told.
type kubeconfig struct {
	*options

	target, serviceAccount, user string
	groups                       []string
	duration                     time.Duration
	exec                         bool
	merge, name                  string
}

func newKubeconfig(o *options) *cobra.Command {
	k := &kubeconfig{options: o}
	cmd := &cobra.Command{
		Use:   "kubeconfig [--exec] [--merge FILE] [flags]",
		Short: "Make a kubeconfig for the front door or for the cluster",
		Long: `Make a kubeconfig, with which kubectl and other clients of Kubernetes talk to the front door. By default it is for
oneself, with the token of the moment; with --exec they ask this program for a token whenever they need one. With
--service-account or --user it holds a new token of theirs.

With --for cluster it leads to the cluster itself, past Fairlead, and is for a service account, since the cluster knows
no others; the cluster says whether one may have its token.`,
		Example: `  # Have kubectl talk to the front door from now on, with tokens that are renewed by themselves
  fairlead kubeconfig --exec --merge ~/.kube/config

  # For a build robot that talks to the cluster itself, for an hour
  fairlead kubeconfig --for cluster --service-account robot -n shop --duration 1h > robot.kubeconfig`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			others := k.serviceAccount != "" || k.user != ""
			switch {
			case len(args) > 0:
				return usage(cmd, "kubeconfig takes no arguments, got %q", args[0])
			case k.target != forDoor && k.target != forCluster:
				return usage(cmd, "--for %s is not there; there are %s and %s", k.target, forDoor, forCluster)
			case k.serviceAccount != "" && k.user != "":
				return usage(cmd, "--service-account and --user exclude each other")
			case k.target == forCluster && k.serviceAccount == "":
				return usage(cmd, "--for cluster needs --service-account: the cluster knows no other users of ours")
			case k.exec && others:
				return usage(cmd, "--exec is for oneself: leave out --service-account and --user")
			case len(k.groups) > 0 && k.user == "":
				return usage(cmd, "--group goes with --user only")
			case k.duration != 0 && !others:
				return usage(cmd, "--duration goes with --service-account or --user: one's own token is as it is")
			case k.duration < 0 || k.duration%time.Second != 0:
				return usage(cmd, "--duration %s is no number of seconds above 0", k.duration)
			}
			return k.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&k.target, "for", forDoor, "where it leads: "+forDoor+" or "+forCluster)
	f.StringVar(&k.serviceAccount, "service-account", "", "service account of the namespace whose new token it holds")
	f.StringVar(&k.user, "user", "", "user whose new token it holds")
	f.StringSliceVar(&k.groups, "group", nil, "group of that user; may be repeated")
	f.DurationVar(&k.duration, "duration", 0, "how long that token holds; 0 means what the server has for a default")
	f.BoolVar(&k.exec, "exec", false, "have clients ask this program for tokens, instead of one that is written down")
	f.StringVar(&k.merge, "merge", "", "file to merge it into, and make its context the current one, instead of printing it")
	f.StringVar(&k.name, "context", "fairlead", "name of its context and cluster")
	return cmd
}

func (k *kubeconfig) run(ctx context.Context) error {
	config, err := k.make(ctx)
	if err != nil {
		return err
	}
	config = renamed(config, k.name)
	if k.merge != "" {
		return k.mergeInto(config)
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("write a kubeconfig: %w", err)
	}
	_, err = k.streams.Out.Write(data)
	return err //nolint:wrapcheck // names the file
}

// make makes it: the server does for others, and for oneself it is put together here.
func (k *kubeconfig) make(ctx context.Context) (*clientcmdapi.Config, error) {
	if k.serviceAccount == "" && k.user == "" {
		return k.own(ctx)
	}
	seconds := int64(k.duration / time.Second)
	text, err := ofServer(k.options, authv1.NewTokenServiceClient, func(c authv1.TokenServiceClient) (string, error) {
		if k.serviceAccount != "" {
			res, err := c.KubeconfigForServiceAccount(ctx, &authv1.KubeconfigForServiceAccountRequest{
				Namespace: k.namespace, Name: k.serviceAccount, Target: k.target, ExpirationSeconds: seconds,
			})
			return res.GetKubeconfig(), err //nolint:wrapcheck // ofServer does
		}
		res, err := c.Kubeconfig(ctx, &authv1.KubeconfigRequest{User: k.user, Groups: k.groups, Namespace: k.namespace, ExpirationSeconds: seconds})
		return res.GetKubeconfig(), err //nolint:wrapcheck // ofServer does
	})
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.Load([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the server made a kubeconfig that cannot be read: %w", err)
	}
	return config, nil
}

// own makes one for oneself.
func (k *kubeconfig) own(ctx context.Context) (*clientcmdapi.Config, error) {
	told, err := k.ask(ctx)
	if err != nil {
		return nil, err
	}
	if told.GetUrl() == "" {
		return nil, errors.New("the server does not know the address of its front door; give it --public-url")
	}
	user := &clientcmdapi.AuthInfo{}
	if k.exec {
		if user.Exec, err = k.plugin(); err != nil {
			return nil, err
		}
	} else {
		t, err := k.token()
		if err != nil {
			return nil, err
		}
		if user.Token, err = t.fresh(ctx); err != nil {
			return nil, err
		}
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[forDoor] = &clientcmdapi.Cluster{Server: told.GetUrl(), CertificateAuthorityData: told.GetCertificateAuthority()}
	config.AuthInfos[forDoor] = user
	config.Contexts[forDoor] = &clientcmdapi.Context{Cluster: forDoor, AuthInfo: forDoor, Namespace: k.namespace}
	config.CurrentContext = forDoor
	return config, nil
}

// plugin has clients run this program, for the same server and with the same token as this time.
func (k *kubeconfig) plugin() (*clientcmdapi.ExecConfig, error) {
	address, err := k.address()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if found, err := exec.LookPath("fairlead"); err == nil && filepath.IsAbs(found) {
		self = "fairlead" // wherever it moves to
	}
	args := []string{"token", "--exec-credential", "--server", address}
	// Clients run it wherever they are run themselves.
	if file := cmp.Or(k.tokenFile, os.Getenv(envTokenFile), k.foundToken(address)); file != "" {
		if file, err = filepath.Abs(file); err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		args = append(args, "--token-file", file)
	}
	plugin := &clientcmdapi.ExecConfig{
		APIVersion: execv1.SchemeGroupVersion.String(), Command: self, Args: args, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint: "fairlead is not there: it is the command line of Fairlead, which gets tokens for its front door",
	}
	if path := os.Getenv("FAIRLEAD_CONFIG"); path != "" {
		if path, err = filepath.Abs(path); err != nil {
			return nil, fmt.Errorf("$FAIRLEAD_CONFIG: %w", err)
		}
		plugin.Env = []clientcmdapi.ExecEnvVar{{Name: "FAIRLEAD_CONFIG", Value: path}}
	}
	return plugin, nil
}

// foundToken is the token file of the working folder, which is used where one is not signed in.
func (*kubeconfig) foundToken(address string) string {
	if s, _ := signedIn(address); s != nil {
		return ""
	}
	file := filepath.Join(".fairlead", "token")
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// renamed gives the one context of a kubeconfig, and what it is made of, a name.
func renamed(c *clientcmdapi.Config, name string) *clientcmdapi.Config {
	out := clientcmdapi.NewConfig()
	context := c.Contexts[c.CurrentContext]
	if context == nil {
		return c
	}
	out.Clusters[name], out.AuthInfos[name] = c.Clusters[context.Cluster], c.AuthInfos[context.AuthInfo]
	context.Cluster, context.AuthInfo = name, name
	out.Contexts[name], out.CurrentContext = context, name
	return out
}

// mergeInto merges it into a file, whose other entries stay.
func (k *kubeconfig) mergeInto(made *clientcmdapi.Config) error {
	config, err := clientcmd.LoadFromFile(k.merge)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return fmt.Errorf("--merge %s: %w", k.merge, err)
	}
	maps.Copy(config.Clusters, made.Clusters)
	maps.Copy(config.AuthInfos, made.AuthInfos)
	maps.Copy(config.Contexts, made.Contexts)
	config.CurrentContext = made.CurrentContext
	// Before there is a token in it; a file that is not there yet is made like that.
	if err := os.Chmod(k.merge, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--merge: %w", err)
	}
	if err := clientcmd.WriteToFile(*config, k.merge); err != nil {
		return fmt.Errorf("--merge: %w", err)
	}
	fmt.Fprintf(k.streams.Out, "Merged into %s; its current context is %s.\n", k.merge, k.name)
	return nil
}
