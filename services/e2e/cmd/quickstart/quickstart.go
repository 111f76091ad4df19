// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"fairlead.dev/services/build/images"
	"fairlead.dev/services/e2e/harness"
	"fairlead.dev/services/e2e/mainjob"
)

const (
	installation    = "quickstart"
	systemNamespace = "fairlead-system"
	namespace       = "quickstart"
	serverName      = "fairlead"
)

// quickstart brings everything up and takes it down.
type quickstart struct {
	state, sample string
	verbose       bool
	out           io.Writer
}

func (q *quickstart) file(name string) string { return filepath.Join(q.state, name) }

// step runs one part and prints how long it took.
func (q *quickstart) step(name string, run func() error) error {
	began := time.Now()
	fmt.Fprintf(q.out, "%s\n", name)
	if err := run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(q.out, "  %-62s %6.1f s\n", "done", time.Since(began).Seconds())
	return nil
}

func (q *quickstart) up(ctx context.Context) error {
	start := time.Now()
	var cluster *harness.Cluster
	var server *harness.Server
	cfg := harness.ServerConfig{
		Binary: q.file("bin/fairlead"), Dir: q.file("server"), Installation: installation, SystemNamespace: systemNamespace,
		Ports: harness.DefaultPorts(), Kubeconfig: q.file("kubeconfig"), Token: q.file("token"),
	}
	err := q.step("Local Kubernetes", func() (err error) {
		cluster, err = harness.Up(ctx, q.state, q.out)
		cfg.Cluster = cluster
		return err
	})
	if err == nil {
		err = q.step("Images of the build steps and the Go builder", func() error {
			pushed, err := images.Push(ctx, images.Config{Registry: cluster.Registry, Insecure: true, Out: q.out})
			cfg.StepImage = pushed[images.Step]
			return err
		})
	}
	if err == nil {
		err = q.step("Fairlead server", func() error {
			if err := q.stopServer(); err != nil {
				return err
			}
			server, err = harness.Start(ctx, cfg)
			return err
		})
	}
	if err != nil {
		return err
	}
	if err := q.record(cluster, server); err != nil {
		return err
	}
	fmt.Fprintln(q.out, "Main job")
	if err := mainjob.Run(ctx, q.env(cfg)); err != nil {
		return fmt.Errorf("main job: %w\nthe server's log is %s", err, cfg.LogFile())
	}
	q.tour(cfg, time.Since(start))
	return nil
}

func (q *quickstart) env(cfg harness.ServerConfig) mainjob.Env {
	env := mainjob.Env{
		Namespace: namespace, Kubeconfig: cfg.Kubeconfig, Token: cfg.Token, CA: cfg.CA(),
		REST:     fmt.Sprintf("https://127.0.0.1:%d", cfg.Ports.HTTPS),
		GRPC:     fmt.Sprintf("127.0.0.1:%d", cfg.Ports.GRPC),
		Router:   fmt.Sprintf("127.0.0.1:%d", cfg.Ports.Router),
		Broker:   fmt.Sprintf("http://127.0.0.1:%d", cfg.Ports.Broker),
		Registry: cfg.Cluster.Registry, HostAddress: cfg.Cluster.BridgeIP,
		Sample: q.sample, Bin: q.file("bin"), Kubectl: harness.Kubectl(q.state), Out: q.out,
	}
	if q.verbose {
		env.Verbose = q.out
	}
	return env
}

// record writes the files that README names.
func (q *quickstart) record(cluster *harness.Cluster, server *harness.Server) error {
	if err := os.WriteFile(q.file("registry"), []byte(cluster.Registry+"\n"), 0o600); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if err := os.WriteFile(q.file("cluster.kubeconfig"), kubeconfig, 0o600); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	p, err := harness.ProcessOf(serverName, server.PID())
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if err := harness.WriteProcess(q.file("server/process"), p); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	ps := []harness.Process{p}
	for _, c := range cluster.Components {
		if p, err := harness.ProcessOf(c.Name, c.PID); err == nil && c.PID != 0 {
			ps = append(ps, p)
		}
	}
	return harness.WriteProcesses(q.file("pids"), ps) //nolint:wrapcheck // says it all
}

// stopServer ends the server of an earlier run.
func (q *quickstart) stopServer() error {
	p, found, err := harness.ReadProcess(q.file("server/process"))
	if err != nil || !found {
		return err //nolint:wrapcheck // says it all
	}
	return p.Stop(20 * time.Second) //nolint:wrapcheck // says it all
}

func (q *quickstart) down(ctx context.Context) error {
	if err := q.stopServer(); err != nil {
		return err
	}
	if err := harness.Down(ctx, q.state, q.out); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if err := os.Remove(q.file("pids")); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("list of processes: %w", err)
	}
	return nil
}

func (q *quickstart) tour(cfg harness.ServerConfig, took time.Duration) {
	fmt.Fprintf(q.out, `
All of it took %.0f s, and is left running:
  service    curl http://hello.%s.localhost:%d
  kubectl    kubectl --kubeconfig %s --namespace %s get knative
  gRPC       127.0.0.1:%d, with reflection; token in %s
  REST       https://127.0.0.1:%d, http://127.0.0.1:%d
  events     http://127.0.0.1:%d/%s/default
  registry   %s
End it with 'make down'.
`, took.Seconds(), namespace, cfg.Ports.Router, cfg.Kubeconfig, namespace, cfg.Ports.GRPC, cfg.Token,
		cfg.Ports.HTTPS, cfg.Ports.HTTP, cfg.Ports.Broker, namespace, cfg.Cluster.Registry)
}
