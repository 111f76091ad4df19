// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package platform is what services that keep objects stand on: etcd and the store, the cluster, who callers are and what
// they may do, the share of work among processes, and the gRPC server.
package platform

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/fairlead/cluster"
	"fairlead.dev/services/fairlead/limits"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/trust"
	"fairlead.dev/services/internal/audit"
	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/encryption"
)

// Options say how a platform differs among processes.
type Options struct {
	// AllInOne tells that all services are in this process: etcd may run in it too, and gRPC on loopback has no TLS.
	AllInOne bool
}

// Platform is a part of a process, to be added before the services that stand on it.
type Platform struct {
	process *process.Process
	opts    Options
	groups  []string

	etcdEndpoints               *[]string
	etcdCA, etcdCert, etcdKey   *string
	etcdListen, systemNamespace *string
	grpcListen                  *process.Address
	advertise                   *process.Address
	encryptionKeys              *string
	auditLog, auditPolicy       *string
	access                      cluster.Access
	signIn                      *signIn
	trust                       *trust.Part
	limits                      limits.Limits

	etcd   *clientv3.Client
	store  *store.Store
	config *rest.Config
	kube   *kube.Client
	lease  *lease.Member
	auth   *auth.Server
	verify *auth.Verifier
	server *grpc.Server
	audit  *audit.Log
	// encryption is nil where there are no keys.
	encryption *encryption.Keys
	// keysChanged is signalled when other keys are in place.
	keysChanged chan struct{}
	memory      *rpc.InMemory
	peers       *Peers
}

// New makes the platform of a process.
func New(p *process.Process, o Options) *Platform {
	f := p.Flags()
	b := &Platform{process: p, opts: o, keysChanged: make(chan struct{}, 1)}
	endpoints := "members of the installation's etcd, as URLs; needed"
	tls := "with TLS"
	if o.AllInOne {
		endpoints = "members of an etcd to use, as URLs; none runs one in the process"
		tls = "with TLS unless it is loopback"
		b.etcdListen = f.String("etcd-listen", "", "loopback host:port at which the etcd in this process answers others; empty for none")
	}
	b.etcdEndpoints = f.Strings("etcd-endpoints", endpoints)
	b.etcdCA = f.String("etcd-ca", "", "file with the authorities of etcd's certificates; none means the system's")
	b.etcdCert = f.String("etcd-cert", "", "file with the client certificate for etcd")
	b.etcdKey = f.String("etcd-key", "", "file with the key of --etcd-cert")
	b.systemNamespace = f.String("system-namespace", "fairlead-system", "Kubernetes namespace of the installation's own Secrets, and of the Service of --aggregate-listen; made if absent")
	b.grpcListen = f.Address("grpc-listen", "127.0.0.1:9090", "host:port of gRPC; "+tls, process.Needed).Listen()
	b.advertise = f.Address("advertise-address", "", "host:port at which other processes reach --grpc-listen; none means as this machine reaches it").Certify()
	b.encryptionKeys = f.String("encryption-keys", "", "file with the keys by which objects of kinds that ask for it are encrypted in etcd; none means the Secret "+encryptionSecret+" of --system-namespace")
	b.auditLog = f.String("audit-log", "", "file to which who did what is appended, a line of JSON each; - is the standard output; none keeps nothing")
	b.auditPolicy = f.String("audit-policy", "", "file that says what is kept in --audit-log and how much of it; none keeps the metadata of every change")
	b.access = cluster.NewAccess(f)
	b.signIn = newSignIn(f)
	b.trust = trust.New(p)
	b.limits = limits.New(f)
	p.Add(b)
	return b
}

// Serve names API groups that the process serves.
func (b *Platform) Serve(groups ...string) { b.groups = append(b.groups, groups...) }

// Process is the process that the platform is a part of.
func (b *Platform) Process() *process.Process { return b.process }

// Store keeps objects.
func (b *Platform) Store() *store.Store { return b.store }

// Kube reaches the cluster.
func (b *Platform) Kube() *kube.Client { return b.kube }

// Lease is the process among those that share the work.
func (b *Platform) Lease() *lease.Member { return b.lease }

// Verifier tells who callers are and what they may do.
func (b *Platform) Verifier() *auth.Verifier { return b.verify }

// Trust is whose client certificates are believed.
func (b *Platform) Trust() *trust.Part { return b.trust }

// Memory leads to the gRPC server without leaving the process.
func (b *Platform) Memory() *rpc.InMemory { return b.memory }

// GRPC is where the gRPC server listens.
func (b *Platform) GRPC() *process.Address { return b.grpcListen }

// NodePower is the flag that allows pods fields with power over a node.
func (b *Platform) NodePower() *bool {
	return b.process.Flags().Bool("allow-node-power", "allow hostPath, privileged and other fields with power over a node")
}

// Peers leads to the other processes of the installation.
func (b *Platform) Peers() *Peers { return b.peers }

// Prefix is where the installation keeps its keys in etcd.
func (b *Platform) Prefix() string { return "/fairlead/" + b.process.Installation() }

// Service is what a service registers its methods by.
type Service interface {
	Register(reg grpc.ServiceRegistrar) error
}

// Register registers a service's methods, and tells their health.
func (b *Platform) Register(s Service) error {
	if err := s.Register(b.server); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	return nil
}

// Validate implements process.Part.
func (b *Platform) Validate(f *process.Faults) {
	process.CheckName(f, "system-namespace", *b.systemNamespace)
	b.limits.Validate(f)
	if !b.opts.AllInOne && len(*b.etcdEndpoints) == 0 {
		f.Addf("etcd-endpoints", "is empty; an etcd inside a process is for one process: run an etcd of 3.6 or newer and name its members")
	}
	if (*b.etcdCert == "") != (*b.etcdKey == "") {
		f.Addf("etcd-cert", "and --etcd-key belong together; give both or none")
	}
	if b.opts.AllInOne && *b.etcdListen != "" && len(*b.etcdEndpoints) > 0 {
		f.Addf("etcd-listen", "is of no use with --etcd-endpoints: that etcd answers by itself")
	}
	if !b.opts.AllInOne && b.advertise.Empty() && b.grpcListen.Everywhere() {
		f.Addf("advertise-address", "is empty, and --grpc-listen is all addresses; write the one at which the other processes reach this one")
	}
	if b.advertise.Everywhere() {
		f.Addf("advertise-address", "is %q, which leads each of the other processes to itself; write the address at which they reach this one", b.advertise)
	}
	b.signIn.validate(f)
	if *b.auditPolicy != "" && *b.auditLog == "" {
		f.Addf("audit-policy", "is of no use without --audit-log")
	}
}

// Open implements process.Part.
func (b *Platform) Open(ctx context.Context) error {
	for _, part := range []struct {
		name string
		open func(context.Context) error
	}{
		{"etcd", b.openEtcd},
		{"Kubernetes", b.openKube},
		{"encryption", b.openEncryption},
		{"store", b.openStore},
		{"lease", b.openLease},
		{"auth", b.openAuth},
		{"audit", b.openAudit},
		{"gRPC", b.openGRPC},
	} {
		if err := part.open(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (b *Platform) openEtcd(ctx context.Context) error {
	p := b.process
	if len(*b.etcdEndpoints) > 0 {
		client, err := etcd.Connect(etcd.ClientConfig{
			Endpoints: *b.etcdEndpoints, CAFile: *b.etcdCA, CertFile: *b.etcdCert, KeyFile: *b.etcdKey, Log: p.Log(),
		})
		if err != nil {
			return err //nolint:wrapcheck // says it all
		}
		p.OnClose(client.Close)
		b.etcd = client
		return nil
	}
	e, err := etcd.StartEmbedded(context.WithoutCancel(ctx), etcd.Config{
		Dir: filepath.Join(p.DataDir(), "etcd"), Listen: *b.etcdListen, Log: p.Log(),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	p.OnClose(e.Close)
	b.etcd = e.Client()
	return nil
}

func (b *Platform) openKube(context.Context) error {
	p := b.process
	klog.SetSlogLogger(p.Log().With("component", "client-go")) // the one log of client-go is the process's
	var err error
	if b.config, err = b.access.Config(); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	b.kube, err = kube.NewClient(b.config, kube.Options{
		Installation: p.Installation(), Component: "fairlead", SystemNamespace: *b.systemNamespace, Log: p.Log(),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	p.OnClose(func() error { b.kube.Close(); return nil })
	return nil
}

func (b *Platform) openStore(context.Context) error {
	p := b.process
	p.Gather(reconcile.Metrics())
	var err error
	b.store, err = store.New(b.etcd, store.Options{Prefix: b.Prefix(), Encryption: b.encryption, Log: p.Log(), Metrics: p.Metrics()})
	return err //nolint:wrapcheck // says it all
}

func (b *Platform) openLease(context.Context) error {
	p := b.process
	var err error
	b.peers = &Peers{platform: b}
	if b.onlyHere() {
		p.Log().Warn("other processes of the installation reach this one from this machine only; where there are some on others, set --advertise-address",
			"address", b.advertised())
	}
	p.OnClose(b.peers.close)
	b.lease, err = lease.New(b.etcd, lease.Options{
		ID: b.memberID(), Prefix: b.Prefix(), Address: b.advertised(), Serves: b.groups, Log: p.Log(), Metrics: p.Metrics(),
	})
	return err //nolint:wrapcheck // says it all
}

// openAudit opens the audit log, where one is wanted.
func (b *Platform) openAudit(context.Context) error {
	if *b.auditLog == "" {
		return nil
	}
	p := b.process
	var err error
	b.audit, err = audit.Open(audit.Config{File: *b.auditLog, PolicyFile: *b.auditPolicy, Log: p.Log(), Metrics: p.Metrics()})
	return err //nolint:wrapcheck // says it all
}

// servesAuth tells that this process serves auth's kinds; otherwise it only goes by them.
func (b *Platform) servesAuth() bool { return slices.Contains(b.groups, auth.Group) }

func (b *Platform) openAuth(context.Context) error {
	p := b.process
	c := auth.DefaultConfig()
	c.Prefix = b.Prefix()
	b.signIn.set(&c)
	deps := auth.Deps{
		Store: b.store, Etcd: b.etcd, Kube: b.kube, Objects: b.kube, Namespaces: b.kube, Lease: b.lease, Log: p.Log(), Tracer: p.Tracer(),
	}
	var err error
	if b.servesAuth() {
		if b.auth, err = auth.New(c, deps); err != nil {
			return err //nolint:wrapcheck // says it all
		}
		b.verify = b.auth.Verifier
	} else if b.verify, err = auth.NewVerifier(c, deps); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	p.SetAccess(b.mayGet)
	return nil
}

// Auth is the auth service, where this process serves it.
func (b *Platform) Auth() *auth.Server { return b.auth }

// mayGet is process.Access.
func (b *Platform) mayGet(ctx context.Context, authorization, path string) error {
	token, _ := rpc.Bearer(authorization) // none is none that holds
	id, err := b.verify.Authenticator().Authenticate(ctx, token)
	if err != nil {
		return err //nolint:wrapcheck // an error of ours
	}
	return b.verify.Authorizer().Authorize(ctx, id, rpc.Attributes{Verb: "get", Path: path}) //nolint:wrapcheck // an error of ours
}

// Kinds are the kinds that the process serves.
func (b *Platform) Kinds() []kinds.Kind {
	return slices.DeleteFunc(slices.Clone(kinds.All()), func(k kinds.Kind) bool { return !slices.Contains(b.groups, k.Group) })
}
