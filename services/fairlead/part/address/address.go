// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package address has the addresses that several processes must know: those of the data plane, at which one of them
// listens, and which another writes into the status of objects.
package address

import "fairlead.dev/services/fairlead/process"

// Pair is where a part of the data plane listens: for this machine and what is outside, and for pods.
type Pair struct{ Listen, PodListen *process.Address }

// Router is where services answer.
func Router(f *process.Flags) Pair {
	return Pair{
		Listen:    f.Address("router-listen", "127.0.0.1:8000", "host:port at which services answer", process.Needed),
		PodListen: f.Address("router-pod-listen", "", "host:port at which services answer to pods, on a network that pods reach", process.PodNetwork),
	}
}

// Broker is where brokers take events.
func Broker(f *process.Flags) Pair {
	return Pair{
		Listen:    f.Address("broker-listen", "127.0.0.1:8090", "host:port at which brokers take events", process.Needed),
		PodListen: f.Address("broker-pod-listen", "", "host:port at which brokers take events from pods", process.PodNetwork),
	}
}

// Open has the process listen at both.
func (p Pair) Open() Pair {
	p.Listen.Listen()
	p.PodListen.Listen()
	return p
}
