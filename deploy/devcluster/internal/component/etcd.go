// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package component

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

func runEtcd(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument: the configuration file")
	}
	config, err := embed.ConfigFromFile(args[0])
	if err != nil {
		return err
	}
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		server.Close()
		return nil
	case err := <-server.Err():
		return err
	case <-server.Server.StopNotify():
		return errors.New("etcd stopped by itself")
	}
}
