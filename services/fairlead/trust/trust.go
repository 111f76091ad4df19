// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trust is the part of a process that is told whose client certificates and which front proxies are believed: by
// files, and by the cluster.
package trust

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"fairlead.dev/services/fairlead/cluster"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/clientauth"
)

// Part is a part of a process, to be added before those that answer callers.
type Part struct {
	process *process.Process
	access  cluster.Access
	trust   *clientauth.Trust

	clients, clusterClients *[]string
	ofCluster               *bool
	proxies                 *proxyFlags
	// aggregates tells that the cluster's kube-apiserver is a front proxy; nil where there is none.
	aggregates func() bool

	mu   sync.Mutex
	told map[string]string // what the cluster said last
}

// proxyFlags are Kubernetes' own, with its defaults.
type proxyFlags struct {
	ca                       *string
	names                    *[]string
	users, uids, groups, ext *[]string
}

// New adds the part to a process.
func New(p *process.Process) *Part {
	f := p.Flags()
	t := &Part{process: p, access: cluster.NewAccess(f), trust: clientauth.New()}
	t.clients = f.Strings("client-ca-file", "file with authorities of people's client certificates: the common name is the user, organizations are the groups; may be repeated")
	t.clusterClients = f.Strings("cluster-client-ca-file", "file with authorities of client certificates of the Kubernetes behind, whose users are its own and may be system: ones; may be repeated")
	t.ofCluster = f.Bool("cluster-client-ca", "take client certificates that the Kubernetes behind takes: its authority is read from the ConfigMap "+
		clientauth.ConfigMapNamespace+"/"+clientauth.ConfigMapName+", and followed")
	p.Add(t)
	return t
}

// Proxies binds the flags about front proxies. Where aggregates returns true, the cluster's kube-apiserver is one, by what
// the cluster says of it.
func (t *Part) Proxies(aggregates func() bool) {
	f := t.process.Flags()
	t.aggregates = aggregates
	t.proxies = &proxyFlags{
		ca:     f.String("requestheader-client-ca-file", "", "file with authorities of front proxies' client certificates; none means that no front proxy is believed"),
		names:  f.Strings("requestheader-allowed-names", "common name of a front proxy's certificate; may be repeated; none means any that --requestheader-client-ca-file has signed"),
		users:  f.Strings("requestheader-username-headers", "header by which a front proxy names users; may be repeated (default X-Remote-User)"),
		uids:   f.Strings("requestheader-uid-headers", "header by which a front proxy tells users' UIDs; may be repeated (default X-Remote-Uid)"),
		groups: f.Strings("requestheader-group-headers", "header by which a front proxy names groups; may be repeated (default X-Remote-Group)"),
		ext:    f.Strings("requestheader-extra-headers-prefix", "what headers begin with by which a front proxy tells more of users; may be repeated (default X-Remote-Extra-)"),
	}
}

// Trust is what is believed.
func (t *Part) Trust() *clientauth.Trust { return t.trust }

// Validate implements process.Part.
func (t *Part) Validate(f *process.Faults) {
	check := func(flag, file string) {
		data, err := os.ReadFile(file)
		if err == nil {
			err = clientauth.Check(data)
		}
		if err != nil {
			f.Addf(flag, "%s: %s; name a file with certificates of authorities in PEM", file, err)
		}
	}
	for _, file := range *t.clients {
		check("client-ca-file", file)
	}
	for _, file := range *t.clusterClients {
		check("cluster-client-ca-file", file)
	}
	if t.proxies == nil {
		return
	}
	if *t.proxies.ca != "" {
		check("requestheader-client-ca-file", *t.proxies.ca)
	} else if len(*t.proxies.names) > 0 {
		f.Addf("requestheader-allowed-names", "is of no use without --requestheader-client-ca-file")
	}
}

func (t *Part) asksCluster() bool {
	return *t.ofCluster || t.aggregates != nil && t.aggregates()
}

// Open implements process.Part.
func (t *Part) Open(ctx context.Context) error {
	if t.asksCluster() {
		c, err := t.clientset()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		m, err := c.CoreV1().ConfigMaps(clientauth.ConfigMapNamespace).Get(ctx, clientauth.ConfigMapName, kmetav1.GetOptions{})
		if err != nil {
			t.process.Log().WarnContext(ctx, "the Kubernetes behind does not say whose certificates it believes; those callers are strangers until it does", "error", err)
		} else {
			t.told = m.Data
		}
	}
	return t.read()
}

func (t *Part) clientset() (kubernetes.Interface, error) {
	config, err := t.access.Config()
	if err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	return kubernetes.NewForConfig(config) //nolint:wrapcheck // says it all
}

// read takes over what files and the cluster say.
func (t *Part) read() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	set := clientauth.Set{}
	add := func(files []string, ofCluster bool) error {
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return err //nolint:wrapcheck // names the file
			}
			set.Clients = append(set.Clients, clientauth.Authorities{PEM: data, Cluster: ofCluster})
		}
		return nil
	}
	if err := errors.Join(add(*t.clients, false), add(*t.clusterClients, true)); err != nil {
		return err
	}
	clients, aggregator, err := clientauth.OfCluster(t.told)
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if clients != nil && *t.ofCluster {
		set.Clients = append(set.Clients, *clients)
	}
	if aggregator != nil && t.aggregates != nil && t.aggregates() {
		set.Proxies = append(set.Proxies, *aggregator)
	}
	if p := t.proxies; p != nil && *p.ca != "" {
		data, err := os.ReadFile(*p.ca)
		if err != nil {
			return err //nolint:wrapcheck // names the file
		}
		set.Proxies = append(set.Proxies, clientauth.Proxy{
			PEM: data, AllowedNames: *p.names, UsernameHeaders: *p.users, UIDHeaders: *p.uids, GroupHeaders: *p.groups, ExtraHeaderPrefixes: *p.ext,
		})
	}
	return t.trust.Set(set) //nolint:wrapcheck // says it all
}

// again is read where something has changed.
func (t *Part) again() {
	if err := t.read(); err != nil {
		t.process.Log().Error("whose client certificates are believed stays as it is", "error", err)
	}
}

// Start implements process.Part.
func (t *Part) Start(tiers *process.Tiers) {
	if files := t.files(); len(files) > 0 {
		tiers.State.Run("files of authorities", func(ctx context.Context) error {
			return process.FollowFiles(ctx, t.process.Log(), t.again, files...) //nolint:wrapcheck // names the file
		})
	}
	if t.asksCluster() {
		tiers.State.Run("authorities of the cluster", t.followCluster)
	}
}

func (t *Part) files() []string {
	files := append(append([]string(nil), *t.clients...), *t.clusterClients...)
	if t.proxies != nil && *t.proxies.ca != "" {
		files = append(files, *t.proxies.ca)
	}
	return files
}

// followCluster takes over what the cluster says, until ctx ends.
func (t *Part) followCluster(ctx context.Context) error {
	c, err := t.clientset()
	if err != nil {
		return err
	}
	take := func(obj any) {
		m, ok := obj.(*corev1.ConfigMap)
		if !ok {
			return
		}
		t.mu.Lock()
		t.told = m.Data
		t.mu.Unlock()
		t.again()
	}
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(c.CoreV1().RESTClient(), "configmaps", clientauth.ConfigMapNamespace,
			fields.OneTermEqualSelector("metadata.name", clientauth.ConfigMapName)),
		ObjectType: &corev1.ConfigMap{},
		Handler:    cache.ResourceEventHandlerFuncs{AddFunc: take, UpdateFunc: func(_, obj any) { take(obj) }},
	})
	controller.RunWithContext(ctx)
	return nil
}
