// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process is what every process of Fairlead is made of, whichever parts run in it: flags, logs, traces, metrics,
// certificates, readiness, and an orderly start and end. It knows neither etcd nor Kubernetes.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/tracing"
	"fairlead.dev/services/internal/version"
)

// tracesTimeout is how long the last spans may take to be sent.
const tracesTimeout = 3 * time.Second

// Part is a part of a process. Its constructor binds its flags and adds it to the process.
type Part interface {
	// Validate says what is wrong with the flags.
	Validate(f *Faults)
	// Open makes the part ready to run, over the parts that were added before it. Listeners are open already.
	Open(ctx context.Context) error
	// Start has what the part does run in the tiers.
	Start(t *Tiers)
}

// Options say which process it is.
type Options struct {
	// Name is the process's own: the service that it is, or `server` for all in one.
	Name string
	// Short and Long describe it to users.
	Short, Long string
	// DataDir is the default of --data-dir.
	DataDir string
}

// Process is a process of Fairlead.
type Process struct {
	opts  Options
	cmd   *cobra.Command
	flags *Flags
	parts []Part

	dataDir, installation, logLevel, logFormat *string
	metricsListen                              *Address
	trace                                      traceFlags
	tls                                        tlsFlags

	log       *slog.Logger
	provider  *tracing.Provider
	metrics   *prometheus.Registry
	gatherers prometheus.Gatherers
	checks    *Checks
	started   *startup
	access    Access
	closers   []func() error
}

// New makes a process with the flags that all have.
func New(o Options) *Process {
	p := &Process{opts: o, metrics: prometheus.NewRegistry(), started: &startup{}}
	p.gatherers = prometheus.Gatherers{p.metrics}
	p.cmd = &cobra.Command{
		Use: o.Name, Short: o.Short, Long: o.Long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context()) },
	}
	f := newFlags(p.cmd.Flags())
	p.flags = f
	if o.DataDir == "" {
		o.DataDir = ".fairlead/" + o.Name
	}
	p.dataDir = f.String("data-dir", o.DataDir, "folder of what this process keeps: certificates, and etcd and JetStream where they run in it")
	p.installation = f.String("installation", "fairlead", "id of this installation; two on one Kubernetes have different ones")
	p.metricsListen = f.Address("metrics-listen", "127.0.0.1:9091",
		"host:port of /metrics, /readyz and /debug/pprof; outside loopback with TLS, and for those who may; empty for none").Listen()
	p.logLevel = f.String("log-level", "info", "debug, info, warn or error")
	p.logFormat = f.String("log-format", "text", "text or json")
	p.trace = newTraceFlags(f)
	p.tls = newTLSFlags(f)
	p.checks = newChecks(slog.New(slog.DiscardHandler))
	return p
}

// Add adds a part. Parts are opened and started in this order, and closed in the reverse one.
func (p *Process) Add(part Part) { p.parts = append(p.parts, part) }

// Flags are the process's flags.
func (p *Process) Flags() *Flags { return p.flags }

// Name is the process's own name.
func (p *Process) Name() string { return p.opts.Name }

// Installation is the installation's id.
func (p *Process) Installation() string { return *p.installation }

// DataDir is the folder of what the process keeps.
func (p *Process) DataDir() string { return *p.dataDir }

// Log is the process's log.
func (p *Process) Log() *slog.Logger { return p.log }

// Metrics is where parts register their metrics.
func (p *Process) Metrics() prometheus.Registerer { return p.metrics }

// Gather adds metrics that are kept elsewhere.
func (p *Process) Gather(g prometheus.Gatherer) { p.gatherers = append(p.gatherers, g) }

// Tracer is where spans come from; nil where none are kept.
func (p *Process) Tracer() trace.TracerProvider { return p.provider.Tracing() }

// Checks tell whether the process can do its work.
func (p *Process) Checks() *Checks { return p.checks }

// OnClose has something closed at the end, in the reverse order.
func (p *Process) OnClose(f func() error) { p.closers = append(p.closers, f) }

// Command is the process as a command of another one.
func (p *Process) Command() *cobra.Command { return p.cmd }

// UntilSignal returns a context that ends when the process is told to end. What is told after that ends it at once,
// whatever it waits for.
func UntilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Main runs the process until it is told to end, and returns its exit code.
func (p *Process) Main() int {
	ctx, stop := UntilSignal()
	defer stop()
	p.cmd.Use = "fairlead-" + p.opts.Name
	p.cmd.Version = version.String()
	p.cmd.SilenceUsage, p.cmd.SilenceErrors = true, true
	if err := p.cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

// validate returns everything that is wrong with the flags.
func (p *Process) validate() error {
	f := &Faults{}
	if p.DataDir() == "" {
		f.Addf("data-dir", "is empty; name a folder")
	}
	CheckName(f, "installation", p.Installation())
	for _, a := range p.flags.addresses {
		a.validate(f)
	}
	if _, err := newLogger(*p.logLevel, *p.logFormat, os.Stderr); err != nil {
		f.errs = append(f.errs, err)
	}
	p.trace.validate(f)
	for _, part := range p.parts {
		part.Validate(f)
	}
	return f.Err()
}

// run opens the parts, runs them until ctx ends or one of them does, and closes them.
func (p *Process) run(ctx context.Context) (err error) {
	if err := p.validate(); err != nil {
		return err
	}
	if p.log, err = newLogger(*p.logLevel, *p.logFormat, os.Stderr); err != nil {
		return err
	}
	p.checks.log = p.log
	slog.SetDefault(p.log)
	keepHeapFloor()
	p.log.InfoContext(ctx, "starting", "process", p.Name(), "version", version.String(), "installation", p.Installation())
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.openOwn(ctx); err != nil {
		return err
	}
	for _, part := range p.parts {
		start := time.Now()
		if err := part.Open(ctx); err != nil {
			return err //nolint:wrapcheck // parts say what it is about
		}
		p.log.DebugContext(ctx, "opened", "part", fmt.Sprintf("%T", part), "took", time.Since(start))
	}
	tiers := newTiers(context.WithoutCancel(ctx))
	p.checks.Add(Check{Name: "start", Probe: p.started.err, Every: startEvery})
	for _, part := range p.parts {
		part.Start(tiers)
	}
	tiers.State.Run("certificates", p.runTLS)
	tiers.Front.Run("metrics", p.serveAdmin)
	tiers.Front.Run("checks", p.checks.run)
	tiers.Front.Run("start", p.announce)
	return tiers.wait(ctx, p.log, p.checks.health.Shutdown) // health says first that we serve no more
}

// openOwn opens what the process itself has.
func (p *Process) openOwn(ctx context.Context) error {
	var errs []error
	for _, a := range p.flags.addresses { // first, so that a port that is taken is said before anything else happens
		if err := a.listen(ctx); err != nil {
			errs = append(errs, err)
		} else if a.listener != nil {
			p.OnClose(a.close)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	if p.provider, err = tracing.New(ctx, p.trace.config(p)); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	p.OnClose(func() error { // the last of all: the end is traced too
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesTimeout)
		defer cancel()
		if err := p.provider.Shutdown(sctx); err != nil {
			p.log.WarnContext(ctx, "the end of the traces", "error", err)
		}
		return nil
	})
	return p.openTLS()
}

func (p *Process) close() error {
	errs := make([]error, 0, len(p.closers))
	for _, closer := range slices.Backward(p.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

// newLogger makes the log of a process: its lines say which request and trace they are about.
func newLogger(level, format string, out *os.File) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level is %q; it may be debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(tracing.LogHandler(slog.NewTextHandler(out, opts), rpc.RequestIDFrom)), nil
	case "json":
		return slog.New(tracing.LogHandler(slog.NewJSONHandler(out, opts), rpc.RequestIDFrom)), nil
	}
	return nil, fmt.Errorf("--log-format is %q; it may be text or json", format)
}
