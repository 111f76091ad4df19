// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/auth/issuers/issuertest"
	"fairlead.dev/services/e2e/harness"
)

// believer is a server of its own that believes an issuer, and whose tokens name its front door as theirs.
type believer struct {
	server *harness.Server
	issuer *issuertest.Issuer
	home   string // of who uses it
}

func startBeliever(t *testing.T) *believer {
	t.Helper()
	b := &believer{issuer: issuertest.Start(t), home: t.TempDir()}
	dir := t.TempDir()
	ca := filepath.Join(dir, "issuer.pem")
	if err := os.WriteFile(ca, []byte(b.issuer.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := s.server.Config()
	var err error
	if cfg.Ports, err = harness.FreePorts(s.cluster.BridgeIP); err != nil {
		t.Fatal(err)
	}
	cfg.Dir, cfg.Installation, cfg.SystemNamespace = filepath.Join(dir, "server"), s.id+"-oidc", "fairlead-oidc-"+s.id
	cfg.Kubeconfig, cfg.Token = filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "token")
	cfg.Flags = []string{
		"--oidc-issuer-url", b.issuer.URL, "--oidc-client-id", issuertest.ClientID, "--oidc-username-prefix", "corp:",
		"--oidc-groups-claim", "groups", "--oidc-groups-prefix", "corp:", "--oidc-ca-file", ca,
		"--token-issuer", fmt.Sprintf("https://127.0.0.1:%d", cfg.Ports.HTTPS),
	}
	if b.server, err = harness.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.server.Stop(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.kube.RbacV1().ClusterRoleBindings().DeleteCollection(ctx, kmetav1.DeleteOptions{},
			kmetav1.ListOptions{LabelSelector: "fairlead.dev/installation=" + cfg.Installation}); err != nil {
			t.Error(err)
		}
	})
	return b
}

// command is one that a person runs, whose home is that of the believer's user.
func (b *believer) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = b.home, []string{"HOME=" + b.home, "PATH=" + os.Getenv("PATH")}
	return cmd
}

func (b *believer) fairlead(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := b.command(t, filepath.Join(s.state, "bin", "fairlead"), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// kubectl runs the real one with a kubeconfig.
func (b *believer) kubectl(t *testing.T, kubeconfig string) func(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	return func(t *testing.T, stdin string, args ...string) (string, error) {
		t.Helper()
		cmd := b.command(t, harness.Kubectl(s.state), append([]string{"--kubeconfig", kubeconfig}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

var signInPage = regexp.MustCompile(`https://\S+/authorize\?\S+`)

// login signs in as a person does, who opens the page that is printed.
func (b *believer) login(t *testing.T) {
	t.Helper()
	reader, writer := io.Pipe()
	cmd := b.command(t, filepath.Join(s.state, "bin", "fairlead"), "login", "--timeout", "30s", "--server", fmt.Sprintf("127.0.0.1:%d", b.server.Config().Ports.GRPC))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var printed string
	wg.Go(func() {
		var all strings.Builder
		buffer := make([]byte, 4096)
		for {
			n, err := reader.Read(buffer)
			all.Write(buffer[:n])
			if page := signInPage.FindString(all.String()); page != "" && strings.Contains(all.String(), page+"\n") && printed == "" {
				printed = page
				b.open(t, page)
			}
			if err != nil {
				return
			}
		}
	})
	err := cmd.Wait()
	_ = writer.Close()
	wg.Wait()
	if err != nil || !strings.Contains(out.String(), "as corp:ada.") {
		t.Fatalf("login: %v %s; the page was %q", err, out.String(), printed)
	}
}

// open is what a browser does.
func (b *believer) open(t *testing.T, page string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	if err != nil {
		t.Error(err)
		return
	}
	res, err := b.issuer.Client().Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	_ = res.Body.Close()
}

// TestSignIn signs in at an issuer, and has kubectl talk to the front door with its tokens, renewed by the exec plugin.
func TestSignIn(t *testing.T) {
	ns := namespace(t)
	b := startBeliever(t)
	b.issuer.Set(func(is *issuertest.Settings) {
		is.Claims = map[string]any{"groups": []string{"dev"}}
		is.Lifetime = 20 * time.Second // less than is left before a renewal, so that each use renews it
	})
	admin := b.kubectl(t, b.server.Config().Kubeconfig)
	eventually(t, 20*time.Second, "the issuer is known", func() (bool, string) {
		out, err := b.kubectl(t, b.server.Config().Kubeconfig)(t, "", "auth", "whoami", "--token", b.issuer.Sign(b.issuer.Claims("bob")))
		return err == nil && strings.Contains(out, "corp:bob"), out
	})
	b.login(t)
	runSteps(t, b.fairlead, []step{
		{args: []string{"whoami"}, wants: []string{`Username\s+corp:ada`, `Groups\s+\[corp:dev system:authenticated\]`, `Source\s+oidc`}},
		{args: []string{"kubeconfig", "--exec", "--merge", "exec.kubeconfig", "-n", ns}, wants: []string{"Merged into"}},
		{args: []string{"get", "ksvc", "-n", ns}, fails: true, wants: []string{`corp:ada.* cannot list`}},
	})
	ada := b.kubectl(t, filepath.Join(b.home, "exec.kubeconfig"))
	runSteps(t, ada, []step{
		{args: []string{"auth", "whoami"}, wants: []string{`Username\s+corp:ada`, `corp:dev`}},
		{args: []string{"get", "ksvc"}, fails: true, wants: []string{"corp:ada"}},
		{args: []string{"auth", "can-i", "list", "ksvc"}, fails: true, wants: []string{"no"}},
	})
	binding := fmt.Sprintf("apiVersion: auth.fairlead.dev/v1\nkind: RoleBinding\nmetadata: {name: dev, namespace: %s}\nroleRef: {kind: ClusterRole, name: edit}\nsubjects: [{kind: Group, name: corp:dev}]\n", ns)
	account := fmt.Sprintf("---\napiVersion: auth.fairlead.dev/v1\nkind: ServiceAccount\nmetadata: {name: robot, namespace: %s}\n", ns)
	runSteps(t, admin, []step{{args: []string{"apply", "-f", "-"}, stdin: binding + account, wants: []string{"rolebinding.auth.fairlead.dev/dev created"}}})
	eventually(t, 10*time.Second, "the group's right holds", func() (bool, string) {
		out, err := ada(t, "", "get", "ksvc")
		return err == nil, out
	})
	runSteps(t, ada, []step{
		{args: []string{"auth", "can-i", "create", "ksvc"}, wants: []string{"yes"}},
		{args: []string{"auth", "can-i", "create", "rolebindings.auth.fairlead.dev"}, fails: true, wants: []string{"no"}},
		{args: []string{"auth", "can-i", "--list"}, wants: []string{`services\.serving\.knative\.dev\s+\[\]\s+\[\]\s+\[create .*\]`, `selfsubjectreviews\.authentication\.k8s\.io`}},
		{args: []string{"get", "pods"}, fails: true, wants: []string{"fairlead:corp:ada"}},
	})
	runSteps(t, admin, []step{
		{args: []string{"auth", "can-i", "--list"}, wants: []string{`\*\.serving\.knative\.dev`}},
		{args: []string{"create", "token", "robot", "-n", ns, "--duration", "10m"}, wants: []string{`^ey`}}, // ours is one of the cluster's too
	})
	b.kubeconfigs(t, ns)
}

// kubeconfigs makes kubeconfigs of a service account for both endpoints, and uses them.
func (b *believer) kubeconfigs(t *testing.T, ns string) {
	t.Helper()
	cfg := b.server.Config()
	as := []string{"--server", fmt.Sprintf("127.0.0.1:%d", cfg.Ports.GRPC), "--token-file", cfg.Token, "-n", ns}
	for _, target := range []string{"front-door", "cluster"} {
		runSteps(t, b.fairlead, []step{{
			args:  append([]string{"kubeconfig", "--for", target, "--service-account", "robot", "--merge", target + ".kubeconfig"}, as...),
			wants: []string{"Merged"},
		}})
		runSteps(t, b.kubectl(t, filepath.Join(b.home, target+".kubeconfig")), []step{
			{args: []string{"auth", "whoami"}, wants: []string{`Username\s+system:serviceaccount:` + ns + `:robot`}},
		})
	}
	token, err := b.fairlead(t, "", append([]string{"token", "issue", "--user", "eve"}, as...)...)
	if err != nil {
		t.Fatal(err)
	}
	token = strings.TrimSpace(token)
	b.verify(t, token)
	runSteps(t, b.fairlead, []step{{args: append([]string{"token", "revoke", "-"}, as...), stdin: token, wants: []string{"revoked"}}})
	eventually(t, 5*time.Second, "it is worthless", func() (bool, string) {
		out, err := b.kubectl(t, cfg.Kubeconfig)(t, "", "auth", "whoami", "--token", token)
		return err != nil, out
	})
}

// verify checks a token of ours as anybody can who knows the front door.
func (b *believer) verify(t *testing.T, token string) {
	t.Helper()
	pem, err := os.ReadFile(b.server.Config().CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(t.Context(), client), 20*time.Second)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, fmt.Sprintf("https://127.0.0.1:%d", b.server.Config().Ports.HTTPS))
	if err != nil {
		t.Fatal(err)
	}
	checked, err := provider.Verifier(&oidc.Config{ClientID: "fairlead"}).Verify(ctx, token)
	if err != nil || checked.Subject != "eve" {
		t.Errorf("a token of ours, checked by others: %v %v", checked, err)
	}
}
