// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Ports are the ports at which a server listens on loopback; router and broker listen on the pods' bridge too.
type Ports struct{ HTTPS, HTTP, GRPC, Router, Broker, Metrics int }

// DefaultPorts are those that README states.
func DefaultPorts() Ports {
	return Ports{HTTPS: 8443, HTTP: 8080, GRPC: 9090, Router: 8000, Broker: 8090, Metrics: 9091}
}

// FreePorts picks ports that are free on loopback and at another address.
func FreePorts(address string) (Ports, error) {
	var p Ports
	for _, port := range []*int{&p.HTTPS, &p.HTTP, &p.GRPC, &p.Router, &p.Broker, &p.Metrics} {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
		if err != nil {
			return Ports{}, fmt.Errorf("free port: %w", err)
		}
		defer l.Close()
		tcp, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return Ports{}, fmt.Errorf("free port: %s is no TCP address", l.Addr())
		}
		*port = tcp.Port
		other, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(tcp.Port))) //nolint:noctx // closed at once
		if err != nil {
			return Ports{}, fmt.Errorf("free port at %s: %w", address, err)
		}
		defer other.Close()
	}
	return p, nil
}

// ServerConfig says which server to start.
type ServerConfig struct {
	// Binary is the fairlead binary.
	Binary string
	// Dir is the folder of its data, and of its log.
	Dir string
	// Cluster is the Kubernetes it works on.
	Cluster *Cluster
	// Installation is its id in the cluster, and SystemNamespace where its Secrets are.
	Installation, SystemNamespace string
	// StepImage is the image of the build steps' binary.
	StepImage string
	// Ports are where it listens.
	Ports Ports
	// Kubeconfig and Token are the files that it writes for its admin.
	Kubeconfig, Token string
	// Flags are further flags.
	Flags []string
}

// Server is a fairlead server in a process of its own.
type Server struct {
	cfg     ServerConfig
	program *program
}

// args are the arguments of the server.
func (c ServerConfig) args() []string {
	loopback := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	bridge := func(port int) string { return net.JoinHostPort(c.Cluster.BridgeIP, strconv.Itoa(port)) }
	return append([]string{
		"server",
		"--data-dir", c.Dir,
		"--kubeconfig", c.Cluster.Kubeconfig,
		"--installation", c.Installation,
		"--system-namespace", c.SystemNamespace,
		"--https-listen", loopback(c.Ports.HTTPS),
		"--http-listen", loopback(c.Ports.HTTP),
		"--grpc-listen", loopback(c.Ports.GRPC),
		"--metrics-listen", loopback(c.Ports.Metrics),
		"--router-listen", loopback(c.Ports.Router),
		"--router-pod-listen", bridge(c.Ports.Router),
		"--broker-listen", loopback(c.Ports.Broker),
		"--broker-pod-listen", bridge(c.Ports.Broker),
		"--cluster-dns", net.JoinHostPort(c.Cluster.ClusterDNS, "53"),
		"--step-image", c.StepImage,
		"--insecure-registry", c.Cluster.Registry,
		"--write-kubeconfig", c.Kubeconfig,
		"--write-token", c.Token,
	}, c.Flags...)
}

// Start starts the server, detached from this process's group, and waits until it is ready.
func Start(ctx context.Context, cfg ServerConfig) (*Server, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	p, err := startProgram("server", cfg.LogFile(), cfg.Binary, cfg.args()...)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, program: p}
	if err := p.ready(ctx, s.URL()+"/readyz"); err != nil {
		return nil, err
	}
	return s, nil
}

// LogFile is where the server's log is.
func (c ServerConfig) LogFile() string { return filepath.Join(c.Dir, "server.log") }

// PID is the process's id.
func (s *Server) PID() int { return s.program.cmd.Process.Pid }

// Config is what the server was started with.
func (s *Server) Config() ServerConfig { return s.cfg }

// URL is the address of the front door over plain HTTP.
func (s *Server) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.cfg.Ports.HTTP) }

// CA is the file with the front door's authority.
func (c ServerConfig) CA() string { return filepath.Join(c.Dir, "tls", "ca.crt") }

// Kill ends the server at once, as `kill -9` does, and waits for its end.
func (s *Server) Kill() error { return s.program.kill() }

// Stop asks the server to end, unless it was killed, and waits.
func (s *Server) Stop() error { return s.program.stop() }

// Restart starts a server again on the data of this one.
func (s *Server) Restart(ctx context.Context) (*Server, error) { return Start(ctx, s.cfg) }

// tail is the end of a file.
func tail(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	if len(lines) > 30 {
		lines = lines[len(lines)-30:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}

// String tells where the server is.
func (s *Server) String() string {
	return strings.Join([]string{s.URL(), "pid " + strconv.Itoa(s.PID())}, ", ")
}
