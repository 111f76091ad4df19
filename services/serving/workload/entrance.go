// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/serving/names"
)

// Entrance is how the pods of a revision take requests.
type Entrance struct {
	// Port is the port of the container that gets the requests.
	Port int32
	// H2C tells whether it speaks HTTP/2 in the clear.
	H2C bool
	// Probe tells whether a router can find out for itself that a pod answers, as its readiness probe would; else the kubelet's
	// word has to be waited for.
	Probe bool
	// ProbePath is the path to ask for; empty means that a connection is enough.
	ProbePath string
}

// EntranceOf returns how the pods of a revision take requests.
func EntranceOf(rev *servingv1.Revision) Entrance {
	pod := rev.GetSpec().GetPodSpec()
	c, others := serving(pod.GetContainers())
	e := Entrance{Port: names.DefaultPort}
	if ports := c.GetPorts(); len(ports) > 0 {
		if n := ports[0].GetContainerPort(); n != 0 {
			e.Port = n
		}
		e.H2C = ports[0].GetName() == names.PortH2C
	}
	e.ProbePath, e.Probe = routerProbe(c.GetReadinessProbe(), c, e.Port)
	if c.GetStartupProbe() != nil || len(pod.GetReadinessGates()) > 0 {
		e.Probe = false
	}
	for _, o := range others {
		if o.GetReadinessProbe() != nil {
			e.Probe = false
		}
	}
	return e
}

func serving(containers []*corepb.Container) (c *corepb.Container, others []*corepb.Container) {
	place := 0
	for i, c := range containers {
		if len(c.GetPorts()) > 0 {
			place = i
			break
		}
	}
	for i, o := range containers {
		if i == place {
			c = o
		} else {
			others = append(others, o)
		}
	}
	return c, others
}

// routerProbe tells whether a router's probe says what the readiness probe would, and which path it asks for.
func routerProbe(p *corepb.Probe, c *corepb.Container, port int32) (path string, ok bool) {
	if p.GetInitialDelaySeconds() > 0 || p.GetSuccessThreshold() > 1 || p.GetExec() != nil || p.GetGrpc() != nil {
		return "", false
	}
	if get := p.GetHttpGet(); get != nil {
		plain := get.GetHost() == "" && len(get.GetHttpHeaders()) == 0 && (get.GetScheme() == "" || strings.EqualFold(get.GetScheme(), "http"))
		path = get.GetPath()
		if path == "" {
			path = "/"
		}
		return path, plain && samePort(get.GetPort().GetInt(), get.GetPort().GetStr(), c, port)
	}
	if tcp := p.GetTcpSocket(); tcp != nil {
		return "", tcp.GetHost() == "" && samePort(tcp.GetPort().GetInt(), tcp.GetPort().GetStr(), c, port)
	}
	return "", true
}

// samePort tells whether a probe's port is the one that gets the requests.
func samePort(number int32, name string, c *corepb.Container, port int32) bool {
	if name == "" {
		return number == 0 || number == port
	}
	return len(c.GetPorts()) > 0 && c.GetPorts()[0].GetName() == name
}
