// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package build_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/crypto/ssh/knownhosts"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/build"
	"fairlead.dev/services/build/step/git/gittest"
	"fairlead.dev/services/internal/condition"
)

// Values that must be nowhere but in Secrets and in homes.
const (
	hiddenUser     = "user-7c1f04a9"
	hiddenPassword = "hunter2-b5e8d3"
)

// private is what takes credentials: a git server over ssh, one over HTTP, and a registry that pods and nodes reach.
type private struct {
	*platform

	ssh *gittest.SSH
	// web is the repository over HTTP; team is one over ssh.
	web, team string
	// registry is how pods reach the registry, node how the node does: without TLS it pulls from itself only.
	registry, node string
	// hidden are the values of Secrets.
	hidden []string
}

func newPrivate(t *testing.T) *private {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	listen := func(host string) string {
		listener, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != hiddenUser || password != hiddenPassword {
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			handler.ServeHTTP(w, r)
		})}
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = server.Close() })
		return listener.Addr().String()
	}
	p := &private{node: listen("127.0.0.1")}
	first := newPlatform(t, nil)
	url, _ := first.gitServer()
	p.registry = listen(first.host)
	first.stop()
	first.config = func(c *build.Config) {
		c.InsecureRegistries = append(c.InsecureRegistries, p.registry, p.node)
	}
	first.start()
	p.platform = first
	t.Cleanup(func() { first.stop() })
	p.web = strings.Replace(url, "/app.git", "/private/app.git", 1)
	p.ssh = gittest.ServeSSH(t, p.host+":0", p.gitRoot)
	p.team = "ssh://git@" + p.ssh.Address + "/team/incubator-repo.git"
	p.incubator()
	p.pushTool()
	key := strings.Split(p.ssh.PrivateKey, "\n")
	p.hidden = []string{hiddenUser, hiddenPassword, key[2], base64.StdEncoding.EncodeToString([]byte(hiddenUser + ":" + hiddenPassword))[4:40]}
	return p
}

// incubator makes the repository of testdata/private.yaml.
func (p *private) incubator() {
	p.t.Helper()
	work := filepath.Join(p.gitRoot, "incubator")
	if err := os.CopyFS(filepath.Join(work, "incubator"), os.DirFS("testdata/hello")); err != nil {
		p.t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "master", work},
		{"-C", work, "add", "."},
		{"-C", work, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "first"},
		{"clone", "-q", "--bare", work, filepath.Join(p.gitRoot, "team/incubator-repo.git")},
	} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			p.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

// pushTool brings the test's tool into the private registry.
func (p *private) pushTool() {
	p.t.Helper()
	from, err := name.ParseReference(p.cluster.tool, name.Insecure)
	if err != nil {
		p.t.Fatal(err)
	}
	img, err := remote.Image(from)
	if err != nil {
		p.t.Fatal(err)
	}
	to, err := name.ParseReference(p.node+"/team/tool", name.Insecure)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := remote.Write(to, img, remote.WithAuth(&authn.Basic{Username: hiddenUser, Password: hiddenPassword})); err != nil {
		p.t.Fatal(err)
	}
}

// apply makes what a file of documents says.
func (p *private) apply(file string, replace *strings.Replacer) {
	p.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(data), "\n---\n") {
		var kind kmetav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil {
			p.t.Fatal(err)
		}
		doc = replace.Replace(doc)
		switch kind.Kind {
		case "Secret":
			var s corev1.Secret
			if err := yaml.Unmarshal([]byte(doc), &s); err != nil {
				p.t.Fatal(err)
			}
			if s.StringData["ssh-privatekey"] != "" {
				s.StringData["ssh-privatekey"] = p.ssh.PrivateKey
			}
			if s.StringData["known_hosts"] != "" {
				s.StringData["known_hosts"] = p.ssh.KnownHosts()
			}
			p.secret(&s)
		case "ServiceAccount":
			var sa corev1.ServiceAccount
			if err := yaml.Unmarshal([]byte(doc), &sa); err != nil {
				p.t.Fatal(err)
			}
			p.account(&sa)
		default:
			p.create(doc)
		}
	}
}

func (p *private) secret(s *corev1.Secret) {
	p.t.Helper()
	if _, err := p.kube.Clientset().CoreV1().Secrets(p.namespace).Create(p.t.Context(), s, kmetav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *private) account(sa *corev1.ServiceAccount) {
	p.t.Helper()
	if _, err := p.kube.Clientset().CoreV1().ServiceAccounts(p.namespace).Create(p.t.Context(), sa, kmetav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// with makes a service account of its own with one Secret.
func (p *private) with(name string, kind corev1.SecretType, place string, values map[string]string) {
	p.t.Helper()
	p.secret(&corev1.Secret{
		ObjectMeta: kmetav1.ObjectMeta{Name: name, Annotations: map[string]string{"build.knative.dev/git-0": place}}, Type: kind, StringData: values,
	})
	p.account(&corev1.ServiceAccount{ObjectMeta: kmetav1.ObjectMeta{Name: name}, Secrets: []corev1.ObjectReference{{Name: name}}})
}

func warning(b *buildv1.Build) *metav1.Condition {
	return condition.Get(b.GetStatus().GetConditions(), "CredentialsUsable")
}

func TestPrivateParts(t *testing.T) {
	p := newPrivate(t)
	p.apply("testdata/private.yaml", strings.NewReplacer(
		"git.test:22", p.ssh.Address, "git.test", p.host, "registry.test", p.registry, "node.test", p.node,
		"http://web.test/private", strings.TrimSuffix(p.web, "/app.git"), "someone", hiddenUser, "something", hiddenPassword,
	))
	out := p.log("namespace-initialization", "", true)
	b := p.awaitEnd("namespace-initialization")
	if outcome(b).GetStatus() != condition.True {
		t.Fatalf("condition %v\n%s", outcome(b), out)
	}
	for _, want := range []string{
		"[nobody] -rw------- 1000 /builder/home/.ssh/id_git-key\n[nobody] -rw-r--r-- 0 /builder/home/.ssh/config\n",
		"[root] -rw------- 0 /builder/home/.ssh/id_git-key\n[root] -rw-rw-rw- 0 /builder/home/.docker/config.json\n",
		"[own-home] -rw------- 1000 /tmp/home/.ssh/id_git-key\n[own-home] -rw------- 1000 /tmp/home/.git-credentials\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the log is\n%s\nand has not\n%s", out, want)
		}
	}
	pushed, err := name.ParseReference(p.node+"/team/hello", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(pushed, remote.WithAuth(&authn.Basic{Username: hiddenUser, Password: hiddenPassword})); err != nil {
		t.Errorf("the step has not pushed: %v", err)
	}
	w := warning(b)
	for _, want := range []string{`secret "never", annotation build.knative.dev/docker-0: a Secret of type kubernetes.io/ssh-auth cannot be shown to a registry`, `secret "gone": service account "builder" names it`} {
		if w.GetStatus() != condition.False || w.GetSeverity() != "Warning" || !strings.Contains(w.GetMessage(), want) {
			t.Errorf("warning %v, want %s", w, want)
		}
	}
	p.awaitEvents("namespace-initialization", "SecretsUnused", "Succeeded")
	p.nothingTold()
}

func TestCredentialFaults(t *testing.T) {
	p := newPrivate(t)
	_, otherHost := gittest.Key(t)
	right := map[string]string{"ssh-privatekey": p.ssh.PrivateKey, "known_hosts": p.ssh.KnownHosts()}
	p.with("wrong-host-key", corev1.SecretTypeSSHAuth, p.ssh.Address, map[string]string{
		"ssh-privatekey": p.ssh.PrivateKey, "known_hosts": knownhosts.Line([]string{p.ssh.Address}, otherHost),
	})
	p.with("new-host-key", corev1.SecretTypeSSHAuth, "https://"+p.host, map[string]string{"ssh-privatekey": p.ssh.PrivateKey})
	p.with("wrong-password", corev1.SecretTypeBasicAuth, strings.TrimSuffix(p.web, "/app.git"), map[string]string{"username": hiddenUser, "password": hiddenPassword})
	p.with("broken-key", corev1.SecretTypeSSHAuth, p.host, map[string]string{"ssh-privatekey": hiddenPassword})
	p.with("other-host", corev1.SecretTypeSSHAuth, "elsewhere.test", right)
	p.with("password-for-ssh", corev1.SecretTypeBasicAuth, "ssh://"+p.host, map[string]string{"username": hiddenUser, "password": hiddenPassword})
	p.with("broken-elsewhere", corev1.SecretTypeSSHAuth, "elsewhere.test", map[string]string{"ssh-privatekey": hiddenPassword})
	p.with("no-pull-secret", corev1.SecretTypeBasicAuth, "elsewhere.test", map[string]string{"username": hiddenUser, "password": hiddenPassword})
	for _, c := range []struct {
		name, url, image string
		reason           string
		says, warns      string
		pods             bool
	}{
		{"wrong-host-key", p.team, "TOOL", "SourceFailed", `known_hosts of Secret "wrong-host-key" has another one: somebody may be in between`, "", true},
		{"new-host-key", p.team, "TOOL", "Succeeded", "", "", true},
		{"wrong-password", p.web, "TOOL", "SourceFailed", `correct the username and password of Secret "wrong-password", which was shown`, "", true},
		{"broken-key", p.team, "TOOL", "CredentialsInvalid", "secret \"broken-key\": its `ssh-privatekey` is not a private key", "", true},
		{"other-host", p.team, "TOOL", "CredentialsInvalid", "no Secret has a key for it: give the service account one of type kubernetes.io/ssh-auth, annotated build.knative.dev/git-0: ssh://" + p.ssh.Address, "", false},
		{"password-for-ssh", p.team, "TOOL", "CredentialsInvalid", `secret "password-for-ssh", annotation build.knative.dev/git-0: a Secret of type kubernetes.io/basic-auth cannot be used over ssh`, "cannot be used over ssh", false},
		{"broken-elsewhere", "", "TOOL", "Succeeded", "", "secret \"broken-elsewhere\": its `ssh-privatekey` is not a private key", true},
		{"no-pull-secret", "", p.node + "/team/tool", "ImagePullFailed", "refuses access", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q := p.in(t)
			source := ""
			if c.url != "" {
				revision := map[bool]string{true: "main", false: "master"}[c.url == p.web]
				source = "\n  source: {git: {url: '" + c.url + "', revision: " + revision + "}}"
			}
			q.create("metadata: {name: " + c.name + "}\nspec:\n  serviceAccountName: " + c.name + source + "\n  steps: [{name: one, image: '" + c.image + "'}]")
			b := q.awaitEnd(c.name)
			t.Logf("%s: %s; %s", outcome(b).GetReason(), outcome(b).GetMessage(), warning(b).GetMessage())
			if got := outcome(b); got.GetReason() != c.reason || !strings.Contains(got.GetMessage(), c.says) {
				t.Errorf("condition %v, want %s: … %s …", got, c.reason, c.says)
			}
			if got := warning(b); (got == nil) != (c.warns == "") || !strings.Contains(got.GetMessage(), c.warns) {
				t.Errorf("warning %v, want %q", got, c.warns)
			}
			if pod := b.GetStatus().GetCluster().GetPodName(); (pod != "") != c.pods {
				t.Errorf("pod %q, want one: %t", pod, c.pods)
			}
		})
	}
	t.Cleanup(p.nothingTold) // after the parallel ones
}

// nothingTold looks for values of Secrets wherever people and programs look.
func (p *private) nothingTold() {
	p.t.Helper()
	ctx, core := p.t.Context(), p.kube.Clientset().CoreV1()
	if ctx.Err() != nil {
		ctx = context.Background() // the subtests have ended, and the test's context with them
	}
	found := func(where string, data []byte) {
		for _, h := range p.hidden {
			if i := bytes.Index(data, []byte(h)); i >= 0 {
				p.t.Errorf("%s holds %q: … %s …", where, h, data[max(0, i-80):min(len(data), i+len(h)+20)])
			}
		}
	}
	all, err := p.etcd.Client().Get(ctx, "\x00", clientv3.WithFromKey())
	if err != nil || len(all.Kvs) == 0 {
		p.t.Fatalf("%d keys in etcd, %v", len(all.Kvs), err)
	}
	for _, kv := range all.Kvs {
		found("etcd, "+string(kv.Key), kv.Value)
	}
	events, err := core.Events(p.namespace).List(ctx, kmetav1.ListOptions{})
	if err != nil || len(events.Items) == 0 {
		p.t.Fatalf("%d Events, %v", len(events.Items), err)
	}
	pods, err := core.Pods(p.namespace).List(ctx, kmetav1.ListOptions{})
	if err != nil || len(pods.Items) == 0 {
		p.t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	for what, list := range map[string]any{"Events": events, "pods": pods} {
		data, err := json.Marshal(list)
		if err != nil {
			p.t.Fatal(err)
		}
		found(what, data)
	}
	for _, pod := range pods.Items {
		for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			data, err := core.Pods(p.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: c.Name}).DoRaw(ctx)
			if err == nil {
				found("the log of "+pod.Name+" "+c.Name, data)
			}
		}
	}
	found("the service's log", []byte(p.said.String()))
}
