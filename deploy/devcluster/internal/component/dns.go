// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package component

import (
	"errors"
	"os"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"       // listens on the bridge only
	_ "github.com/coredns/coredns/plugin/cache"      // for forwarded names
	_ "github.com/coredns/coredns/plugin/errors"     // into the log
	_ "github.com/coredns/coredns/plugin/forward"    // to the host's resolvers
	_ "github.com/coredns/coredns/plugin/hosts"      // the registry's name
	_ "github.com/coredns/coredns/plugin/kubernetes" // Services and pods
	_ "github.com/coredns/coredns/plugin/ready"      // for `up` to wait on
	_ "github.com/coredns/coredns/plugin/template"   // NXDOMAIN without resolvers
)

func runDNS(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument: the Corefile")
	}
	corefile, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	caddy.Quiet, dnsserver.Quiet = true, true
	caddy.TrapSignals()
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: corefile, Filepath: args[0], ServerTypeName: "dns"})
	if err != nil {
		return err
	}
	instance.Wait()
	return nil
}
