// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server runs all five services in one process, over an etcd and a JetStream of its own or those it is told of.
package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"
)

// Config is what the server is told by its flags.
type Config struct {
	// DataDir is where etcd, JetStream and certificates are kept.
	DataDir string
	// EtcdEndpoints are the members of an etcd to use; empty runs one in the process.
	EtcdEndpoints []string
	// NATSURL is the NATS to use; empty runs one in the process.
	NATSURL string
	// Kubeconfig is how the Kubernetes is reached; empty means as a pod of it.
	Kubeconfig string
	// Installation is the id by which objects in the cluster are known as this installation's.
	Installation string
	// SystemNamespace is where Secrets of the installation are kept.
	SystemNamespace string

	HTTPSListen, HTTPListen, GRPCListen, MetricsListen string
	RouterListen, RouterPodListen                      string
	BrokerListen, BrokerPodListen                      string

	// Domain is the domain of services: NAME.NAMESPACE.DOMAIN.
	Domain string
	// ClusterDNS is the host:port of the cluster's DNS, asked for names below svc.cluster.local.
	ClusterDNS string
	// StepImage is the image of the binary that orders the steps of builds, as nodes reach it.
	StepImage string
	// InsecureRegistries are spoken to without TLS.
	InsecureRegistries []string
	// ImagePullTimeout is how long a build waits for an image that cannot be pulled.
	ImagePullTimeout time.Duration
	// AllowNodePower allows pods fields that give power over a node.
	AllowNodePower bool

	// WriteKubeconfig and WriteToken are files written for the first administrator; empty writes none.
	WriteKubeconfig, WriteToken string
	// LogLevel is debug, info, warn or error; LogFormat is text or json.
	LogLevel, LogFormat string
}

// DefaultConfig returns the defaults of the flags.
func DefaultConfig() Config {
	return Config{
		DataDir: ".fairlead/server", Installation: "fairlead", SystemNamespace: "fairlead-system",
		HTTPSListen: "127.0.0.1:8443", HTTPListen: "127.0.0.1:8080", GRPCListen: "127.0.0.1:9090", MetricsListen: "127.0.0.1:9091",
		RouterListen: "127.0.0.1:8000", BrokerListen: "127.0.0.1:8090",
		Domain: "localhost", ImagePullTimeout: time.Minute, LogLevel: "info", LogFormat: "text",
	}
}

// Command is `fairlead server`.
func Command() *cobra.Command {
	c := DefaultConfig()
	cmd := &cobra.Command{
		Use: "server", Short: "Run all services in one process", Args: cobra.NoArgs,
		Long: "Run auth, build, serving, eventing and gateway in one process, with an etcd and a JetStream of its own unless told of others.",
		RunE: func(cmd *cobra.Command, _ []string) error { return Run(cmd.Context(), c) },
	}
	f := cmd.Flags()
	f.StringVar(&c.DataDir, "data-dir", c.DataDir, "folder of etcd, JetStream and certificates")
	f.StringSliceVar(&c.EtcdEndpoints, "etcd-endpoints", nil, "members of an etcd to use, as URLs; none runs one in the process")
	f.StringVar(&c.NATSURL, "nats-url", "", "NATS with JetStream to use; none runs one in the process")
	f.StringVar(&c.Kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig of the Kubernetes to drive; none means the one this runs in")
	f.StringVar(&c.Installation, "installation", c.Installation, "id of this installation; two on one Kubernetes have different ones")
	f.StringVar(&c.SystemNamespace, "system-namespace", c.SystemNamespace, "Kubernetes namespace of the installation's own Secrets; made if absent")
	f.StringVar(&c.HTTPSListen, "https-listen", c.HTTPSListen, "host:port of the REST front door")
	f.StringVar(&c.HTTPListen, "http-listen", c.HTTPListen, "loopback host:port of the REST front door without TLS; empty for none")
	f.StringVar(&c.GRPCListen, "grpc-listen", c.GRPCListen, "host:port of gRPC; with TLS unless it is loopback")
	f.StringVar(&c.MetricsListen, "metrics-listen", c.MetricsListen, "loopback host:port of /metrics; empty for none")
	f.StringVar(&c.RouterListen, "router-listen", c.RouterListen, "host:port at which services answer")
	f.StringVar(&c.RouterPodListen, "router-pod-listen", "", "host:port at which services answer to pods, on a network that pods reach")
	f.StringVar(&c.BrokerListen, "broker-listen", c.BrokerListen, "host:port at which brokers take events")
	f.StringVar(&c.BrokerPodListen, "broker-pod-listen", "", "host:port at which brokers take events from pods")
	f.StringVar(&c.Domain, "domain", c.Domain, "domain of services: NAME.NAMESPACE.DOMAIN")
	f.StringVar(&c.ClusterDNS, "cluster-dns", "", "host:port of the cluster's DNS; none asks the system")
	f.StringVar(&c.StepImage, "step-image", "", "image of the binary that orders the steps of builds, as nodes reach it; needed")
	f.StringSliceVar(&c.InsecureRegistries, "insecure-registry", nil, "registry to speak to without TLS; may be repeated")
	f.DurationVar(&c.ImagePullTimeout, "image-pull-timeout", c.ImagePullTimeout, "how long a build waits for an image that cannot be pulled")
	f.BoolVar(&c.AllowNodePower, "allow-node-power", false, "allow hostPath, privileged and other fields with power over a node")
	f.StringVar(&c.WriteKubeconfig, "write-kubeconfig", "", "file for a kubeconfig of the front door with the admin's token")
	f.StringVar(&c.WriteToken, "write-token", "", "file for the admin's token (default DATA-DIR/token)")
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json")
	return cmd
}

var labelValue = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

// Validate returns everything that is wrong with the configuration, each with its flag.
func (c Config) Validate() error {
	var errs []error
	fault := func(flag, format string, args ...any) {
		errs = append(errs, fmt.Errorf("--%s %s", flag, fmt.Sprintf(format, args...)))
	}
	if c.DataDir == "" {
		fault("data-dir", "is empty; name a folder")
	}
	if !labelValue.MatchString(c.Installation) {
		fault("installation", "is %q; use at most 42 lower-case letters, digits and -", c.Installation)
	}
	if !labelValue.MatchString(c.SystemNamespace) {
		fault("system-namespace", "is %q; use at most 42 lower-case letters, digits and -", c.SystemNamespace)
	}
	for flag, address := range map[string]string{
		"https-listen": c.HTTPSListen, "http-listen": c.HTTPListen, "grpc-listen": c.GRPCListen, "metrics-listen": c.MetricsListen,
		"router-listen": c.RouterListen, "router-pod-listen": c.RouterPodListen, "broker-listen": c.BrokerListen, "broker-pod-listen": c.BrokerPodListen,
	} {
		if address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			fault(flag, "is %q; write host:port", address)
		}
	}
	for flag, address := range map[string]string{"router-pod-listen": c.RouterPodListen, "broker-pod-listen": c.BrokerPodListen} {
		if ap, err := netip.ParseAddrPort(address); address != "" && (err != nil || ap.Addr().IsUnspecified()) {
			fault(flag, "is %q; write the IP address by which pods reach this machine, and a port, such as 10.244.0.1:8000", address)
		}
	}
	for flag, address := range map[string]string{"http-listen": c.HTTPListen, "metrics-listen": c.MetricsListen} {
		if address != "" && !loopback(address) {
			fault(flag, "is %q; without TLS only loopback is allowed, such as 127.0.0.1:8080", address)
		}
	}
	for flag, address := range map[string]string{"https-listen": c.HTTPSListen, "grpc-listen": c.GRPCListen, "router-listen": c.RouterListen, "broker-listen": c.BrokerListen} {
		if address == "" {
			fault(flag, "is empty; write host:port")
		}
	}
	if c.StepImage == "" {
		fault("step-image", "is empty; push the image with 'go run fairlead.dev/services/build/images/publish' and give what it prints")
	}
	if c.ImagePullTimeout <= 0 {
		fault("image-pull-timeout", "is %s; it must be above 0", c.ImagePullTimeout)
	}
	if _, err := c.logger(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reachable is an address at which a listener can be reached from this machine: loopback where it listens everywhere.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// loopback tells whether an address can be reached from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c Config) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level is %q; it may be debug, info, warn or error", c.LogLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return nil, fmt.Errorf("--log-format is %q; it may be text or json", c.LogFormat)
}

func (c Config) tokenFile() string {
	if c.WriteToken != "" {
		return c.WriteToken
	}
	return filepath.Join(c.DataDir, "token")
}
