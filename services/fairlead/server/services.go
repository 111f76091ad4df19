// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"strconv"

	"fairlead.dev/services/auth"
	"fairlead.dev/services/build"
	"fairlead.dev/services/eventing"
	"fairlead.dev/services/serving"
)

// What each service is told of the flags.

func (s *server) authConfig() auth.Config {
	c := auth.DefaultConfig()
	c.Prefix = s.prefix()
	return c
}

func (s *server) buildConfig() build.Config {
	c := build.DefaultConfig()
	c.StepImage = s.cfg.StepImage
	c.PullTimeout = s.cfg.ImagePullTimeout
	c.InsecureRegistries = s.cfg.InsecureRegistries
	c.AllowNodePower = s.cfg.AllowNodePower
	return c
}

func (s *server) servingConfig() serving.Config {
	c := serving.DefaultConfig()
	c.Domain = s.cfg.Domain
	c.Port = portOf(s.cfg.RouterListen)
	c.RouterPodAddress = s.cfg.RouterPodListen
	c.AllowNodePower = s.cfg.AllowNodePower
	return c
}

// portOf is the port of a host:port that Validate has taken.
func portOf(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

func (s *server) eventingConfig() eventing.Config {
	c := eventing.DefaultConfig()
	c.IngressURL = "http://" + reachable(s.cfg.BrokerListen)
	if s.cfg.BrokerPodListen != "" {
		c.ClusterIngressURL = "http://" + s.cfg.BrokerPodListen
	}
	return c
}
