// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"
	"errors"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // blobs in the state folder
)

func runRegistry(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument: the configuration file")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	config, err := configuration.Parse(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	server, err := registry.NewRegistry(context.Background(), config)
	if err != nil {
		return err
	}
	return server.ListenAndServe()
}
