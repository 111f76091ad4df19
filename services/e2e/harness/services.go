// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
)

// ServiceNames are the services, each a binary fairlead-NAME, in an order in which they can be started.
func ServiceNames() []string {
	return []string{"auth", "build", "serving", "eventing", "gateway", "router", "dispatcher"}
}

// ServicesConfig says which services to start.
type ServicesConfig struct {
	// Server is what the all-in-one would be told. Binary is the folder of the binaries, and Ports.GRPC and Ports.Metrics
	// mean nothing: each process has ports of its own.
	Server ServerConfig
	// Etcd and NATS are the URLs of what the services share.
	Etcd, NATS string
	// Flags are further arguments of services, beside those of Server.
	Flags map[string][]string
}

// Services are the services of one installation, each in a process of its own.
type Services struct {
	cfg ServicesConfig
	// grpc and metrics are the addresses of each process.
	grpc, metrics map[string]string

	mu       sync.Mutex
	programs map[string]*program
}

// FreeAddress is an address on loopback at which nobody listens.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return "", fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// StartServices starts all services, and waits until they are ready.
func StartServices(ctx context.Context, cfg ServicesConfig) (*Services, error) {
	s := &Services{cfg: cfg, grpc: map[string]string{}, metrics: map[string]string{}, programs: map[string]*program{}}
	for _, name := range ServiceNames() {
		for _, addresses := range []map[string]string{s.grpc, s.metrics} {
			var err error
			if addresses[name], err = FreeAddress(); err != nil {
				return nil, err
			}
		}
	}
	failed := make(chan error, len(ServiceNames()))
	var wg sync.WaitGroup
	for _, name := range ServiceNames() { // all at once: each waits for what it needs
		wg.Go(func() {
			if err := s.Start(ctx, name); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	close(failed)
	var errs []error
	for err := range failed {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Dir is the folder of a service.
func (s *Services) Dir(name string) string { return filepath.Join(s.cfg.Server.Dir, name) }

// LogFile is where the log of a service is.
func (s *Services) LogFile(name string) string { return filepath.Join(s.Dir(name), name+".log") }

// Metrics is the address of a service's metrics, readiness and profiles.
func (s *Services) Metrics(name string) string { return s.metrics[name] }

// GRPC is the address of a service's gRPC, with TLS.
func (s *Services) GRPC(name string) string { return s.grpc[name] }

// TLS is the folder of the certificates that the services share.
func (s *Services) TLS() string { return filepath.Join(s.cfg.Server.Dir, "tls") }

// Start starts a service, and waits until it is ready.
func (s *Services) Start(ctx context.Context, name string) error {
	p, err := startProgram(name, s.LogFile(name), filepath.Join(s.cfg.Server.Binary, "fairlead-"+name), s.args(name)...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.programs[name] = p
	s.mu.Unlock()
	return p.ready(ctx, "http://"+s.metrics[name]+"/readyz")
}

// Kill ends a service at once, as `kill -9` does.
func (s *Services) Kill(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.programs[name].kill()
}

// Stop asks all services to end, and waits.
func (s *Services) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, 0, len(s.programs))
	for _, p := range s.programs {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// args are the arguments of a service.
func (s *Services) args(name string) []string {
	c := s.cfg.Server
	loopback := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	bridge := func(port int) string { return net.JoinHostPort(c.Cluster.BridgeIP, strconv.Itoa(port)) }
	args := []string{
		"--data-dir", s.Dir(name), "--tls-dir", s.TLS(), "--installation", c.Installation, "--metrics-listen", s.metrics[name],
	}
	router := []string{"--router-listen", loopback(c.Ports.Router), "--router-pod-listen", bridge(c.Ports.Router)}
	broker := []string{"--broker-listen", loopback(c.Ports.Broker), "--broker-pod-listen", bridge(c.Ports.Broker)}
	state := []string{
		"--etcd-endpoints", s.cfg.Etcd, "--kubeconfig", c.Cluster.Kubeconfig, "--system-namespace", c.SystemNamespace,
		"--grpc-listen", s.grpc[name],
	}
	switch name {
	case "auth":
		args = append(append(args, state...), "--public-url", "https://"+loopback(c.Ports.HTTPS), "--write-kubeconfig", c.Kubeconfig, "--write-token", c.Token)
	case "build":
		args = append(append(args, state...), "--step-image", c.StepImage, "--insecure-registry", c.Cluster.Registry)
	case "serving":
		args = append(append(args, state...), router...)
	case "eventing":
		args = append(append(args, state...), broker...)
	case "gateway":
		args = append(args, "--kubeconfig", c.Cluster.Kubeconfig, "--https-listen", loopback(c.Ports.HTTPS), "--http-listen", loopback(c.Ports.HTTP))
		for _, service := range []string{"auth", "build", "serving", "eventing"} {
			args = append(args, "--"+service+"-address", s.grpc[service])
		}
	case "router":
		args = append(append(args, router...), "--serving-address", s.grpc["serving"], "--auth-address", s.grpc["auth"])
	case "dispatcher":
		args = append(append(args, broker...), "--eventing-address", s.grpc["eventing"], "--auth-address", s.grpc["auth"],
			"--nats-url", s.cfg.NATS, "--cluster-dns", net.JoinHostPort(c.Cluster.ClusterDNS, "53"))
	}
	return append(append(args, c.Flags...), s.cfg.Flags[name]...)
}

// Backing is an etcd and a NATS in a process of their own.
type Backing struct {
	// Etcd and NATS are their URLs.
	Etcd, NATS string

	program *program
}

// StartBacking starts services/e2e/cmd/backing, a binary, and waits until both answer.
func StartBacking(ctx context.Context, binary, dir string) (*Backing, error) {
	etcd, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	nats, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := startProgram("backing", filepath.Join(dir, "backing.log"), binary, "--dir", dir, "--etcd-listen", etcd, "--nats-listen", nats)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, "http://"+etcd+"/readyz"); err != nil {
		return nil, err
	}
	return &Backing{Etcd: "http://" + etcd, NATS: "nats://" + nats, program: p}, nil
}

// Stop ends both.
func (b *Backing) Stop() error { return b.program.stop() }
