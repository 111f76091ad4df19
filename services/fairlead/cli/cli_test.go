// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/store"
)

func TestApply(t *testing.T) {
	f := start(t)
	f.write("hello.yaml", helloYAML)
	f.write("more/one.yaml", serviceYAML("one", "")+"---\n"+buildYAML("first"))
	f.write("more/ignored.txt", "not a document")
	f.write("more/deep/two.yml", serviceYAML("two", ""))
	f.write("faults.yaml", strings.NewReplacer("image: registry.example/hello:1", "name: x", "containerConcurrency", "containerConcurency").Replace(helloYAML))
	f.write("hooked.yaml", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: hooked}\n"+
		"spec:\n  template: {spec: {containers: [{name: a}, {name: b}]}}\n  traffic: [{percent: 50, latestRevision: true}]\n")
	f.write("native.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
	f.write("broken.yaml", "apiVersion: [\n")
	f.write("nameless.yaml", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {}\n---\nkind: Service\n")
	f.write("typo.yaml", strings.Replace(serviceYAML("x", ""), "kind: Service", "kind: Servcie", 1))
	f.write("empty/readme.txt", "")
	f.write("reader", "reader")
	changed := strings.Replace(helloYAML, "hello:1", "hello:2", 1)
	f.transcript(t, "apply.golden",
		call{args: "apply -f hello.yaml --dry-run=server"},
		call{args: "apply -f hello.yaml"},
		call{args: "apply -f hello.yaml"},
		call{args: "apply -f - --dry-run=server", stdin: changed},
		call{args: "apply -f - --dry-run=server", stdin: helloYAML},
		call{args: "apply -f -", stdin: changed},
		call{args: "apply -f more"},
		call{args: "apply -f more -R -f hello.yaml"},
		call{args: "apply -f - -n other", stdin: serviceYAML("elsewhere", "")},
		call{args: "get ksvc -A"},
		call{args: "apply -f faults.yaml"},
		call{args: "apply -f hooked.yaml"},
		call{args: "apply -f hooked.yaml -f faults.yaml -f more"},
		call{args: "apply -f native.yaml"},
		call{args: "apply -f broken.yaml"},
		call{args: "apply -f nameless.yaml"},
		call{args: "apply -f typo.yaml"},
		call{args: "apply -f empty"},
		call{args: "apply -f nowhere.yaml"},
		call{args: "apply -f https://example.com/x.yaml"},
		call{args: "apply -f - -f -"},
		call{args: "apply -f -", stdin: ""},
		call{args: "apply -f - -n other", stdin: serviceYAML("x", ", namespace: third")},
		call{args: "apply -f - -n absent", stdin: serviceYAML("x", "")},
		call{args: "apply"},
		call{args: "apply hello.yaml"},
		call{args: "apply -f hello.yaml --dry-run=client"},
		call{args: "apply -f hello.yaml --dry-run=maybe"},
		call{args: "apply -f hello.yaml --token-file reader"},
	)
}

func TestGet(t *testing.T) {
	f := start(t)
	f.transcript(t, "get.golden",
		call{args: "get ksvc"},
		call{args: "get ksvc -A"},
		call{args: "get knative -n other"},
		call{args: "get clusterroles"},
		call{args: "get ksvc -o yaml"},
		call{args: "apply -f -", stdin: helloYAML + "---\n" + serviceYAML("second", ", labels: {app: blog}") + "---\n" + buildYAML("b1") + "---\n" + buildYAML("b2")},
		call{args: "get ksvc", before: func(f *fixture) {
			f.ready("hello", "True", "", "")
			f.ready("second", "False", "RevisionMissing", "bad \x1b[31mnews\nof two lines")
		}},
		call{args: "get services -o wide"},
		call{args: "get service.serving.knative.dev hello second"},
		call{args: "get Service/hello build/b1 ksvc/second"},
		call{args: "get ksvc,builds --no-headers"},
		call{args: "get all -A"},
		call{args: "get services.v1.serving.knative.dev hello -o name"},
		call{args: "get knative -o name --chunk-size=1"},
		call{args: "get ksvc -l app=shop,tier!=back"},
		call{args: "get ksvc -l app=nothing"},
		call{args: "get ksvc --field-selector metadata.name=second"},
		call{args: "get ksvc hello -o yaml"},
		call{args: "get build b1 -o json"},
		call{args: "get builds -o json"},
		call{args: "get ksvc hello -o jsonpath={.status.url}"},
		call{args: "get ksvc -o jsonpath='{range .items[*]}{.metadata.name}={.metadata.generation}{\"\\n\"}{end}'"},
		call{args: "get ksvc hello -o jsonpath=.metadata.labels.app"},
		call{args: "get ksvc -o custom-columns=NAME:.metadata.name,IMAGE:.spec.template.spec.containers[*].image,LABEL:.metadata.labels.tier"},
		call{args: "get ksvc hello absent"},
		call{args: "get ksvc absent --ignore-not-found"},
		call{args: "get ksvc absent -o yaml"},
		call{args: "get"},
		call{args: "get bilds"},
		call{args: "get pods"},
		call{args: "get ksvc/"},
		call{args: "get ksvc ksvc/hello"},
		call{args: "get knative/hello"},
		call{args: "get ksvc hello -l app=shop"},
		call{args: "get ksvc hello -A"},
		call{args: "get ksvc -l 'app in'"},
		call{args: "get ksvc --field-selector spec.x=1"},
		call{args: "get ksvc -o xml"},
		call{args: "get ksvc -o jsonpath"},
		call{args: "get ksvc -o jsonpath={.x"},
		call{args: "get ksvc -o custom-columns=NAME"},
		call{args: "get ksvc --chunk-size=-1"},
		call{args: "get ksvc,builds -w"},
		call{args: "get ksvc --namespace="},
	)
}

func TestDescribe(t *testing.T) {
	f := start(t)
	f.transcript(t, "describe.golden",
		call{args: "apply -f -", stdin: helloYAML + "---\n" + serviceYAML("second", "") + `---
apiVersion: auth.fairlead.dev/v1
kind: ClusterRole
metadata: {name: viewer}
rules:
- {apiGroups: [serving.knative.dev], resources: [services], verbs: [get, list]}
- {apiGroups: [build.knative.dev], resources: [builds], verbs: [get]}
`},
		call{args: "describe ksvc hello", before: func(f *fixture) {
			f.ready("hello", "False", "RevisionFailed", "The image cannot be pulled: no such tag. Push it, or name another.")
		}},
		call{args: "describe ksvc"},
		call{args: "describe clusterrole/viewer"},
		call{args: "describe ksvc absent"},
		call{args: "describe builds"},
		call{args: "describe"},
	)
}

func TestDelete(t *testing.T) {
	f := start(t)
	f.write("all.yaml", serviceYAML("one", ", labels: {app: shop}")+"---\n"+serviceYAML("two", ", labels: {app: shop}")+"---\n"+serviceYAML("three", "")+"---\n"+buildYAML("b"))
	f.write("one.yaml", serviceYAML("one", ""))
	f.transcript(t, "delete.golden",
		call{args: "apply -f all.yaml"},
		call{args: "delete ksvc three --dry-run=server"},
		call{args: "delete ksvc three absent"},
		call{args: "delete ksvc three --ignore-not-found"},
		call{args: "delete -f one.yaml"},
		call{args: "delete -f one.yaml"},
		call{args: "delete -f one.yaml --ignore-not-found"},
		call{args: "delete ksvc -l app=shop"},
		call{args: "delete ksvc --all"},
		call{args: "delete knative --all -A"},
		call{args: "apply -f one.yaml"},
		call{args: "delete ksvc one --timeout=1s", before: func(f *fixture) { f.finalizers("one", "example.dev/slow") }},
		call{args: "delete ksvc one --wait=false"},
		call{args: "delete ksvc"},
		call{args: "delete ksvc one --all"},
		call{args: "delete ksvc --all -l app=shop"},
		call{args: "delete ksvc one --cascade=maybe"},
		call{args: "delete ksvc one --timeout=-1s"},
		call{args: "delete -f one.yaml ksvc"},
		call{args: "delete -f one.yaml --all"},
		call{args: "delete"},
	)

	r := background(t, "delete", "ksvc/one")
	r.err.until(t, "waits for its finalizers example.dev/slow")
	f.finalizers("one")
	if code := r.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, r.err.text())
	}
}

func TestLogs(t *testing.T) {
	f := start(t)
	f.transcript(t, "logs.golden",
		call{args: "logs build/app"},
		call{args: "logs app -f"},
		call{args: "logs builds app --step push"},
		call{args: "logs build/app --prefix --follow -n other"},
		call{args: "logs build/absent"},
		call{args: "logs ksvc/hello"},
		call{args: "logs bulid/app"},
		call{args: "logs"},
		call{args: "logs build/"},
	)
}

func TestVersionAndCompletion(t *testing.T) {
	f := start(t)
	f.transcript(t, "version.golden",
		call{args: "version"},
		call{args: "version --client -o json"},
		call{args: "version -o yaml"},
		call{args: "version -o xml"},
		call{args: "version now"},
		call{args: "version --server 127.0.0.1:1"},
		call{args: "apply -f -", stdin: serviceYAML("hello", "") + "---\n" + serviceYAML("help", "") + "---\n" + buildYAML("b")},
		call{args: "__complete get ''"},
		call{args: "__complete get se"},
		call{args: "__complete get ksvc ''"},
		call{args: "__complete describe ksvc/hel"},
		call{args: "__complete delete ksvc hello ''"},
		call{args: "__complete logs ''"},
		call{args: "__complete wait ksvc/hello --for ''"},
		call{args: "__complete get nonsense ''"},
		call{args: "__complete get --server 127.0.0.1:1 ksvc ''"},
		call{args: "__complete get ksvc -o ''"},
	)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := run(t.Context(), "", "completion", shell); r.code != 0 || !strings.Contains(r.stdout, "fairlead") {
			t.Errorf("completion %s: exit code %d\n%s", shell, r.code, r.stderr)
		}
	}
}

func TestMistakes(t *testing.T) {
	f := start(t)
	f.write("reader", "reader")
	f.write("wrong", "nobody")
	f.write("blank", " \n")
	f.write("words", "not a token")
	f.write("none.pem", "no certificate")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, line := range []string{
		"gte ksvc", "get ksvc --colour", "get ksvc --request-timeout soon", "get roles --token-file reader", "get knative,roles --token-file reader",
		"delete ksvc x --token-file reader", "get ksvc --token-file absent", "get ksvc --token-file wrong", "get ksvc --token-file blank",
		"get ksvc --token-file words", "get ksvc --token-file .", "get ksvc --server " + away, "apply -f a.yaml --server " + away,
		"get ksvc,builds --server " + away, "get ksvc --server nonsense", "get ksvc --server http://" + away,
		"get ksvc --ca-file none.pem", "get ksvc --ca-file absent.pem", "get ksvc --plaintext --ca-file none.pem",
		"get ksvc -w --server " + away, "wait ksvc/x --for=delete --server " + away, "delete ksvc a b --server " + away,
	} {
		f.write("a.yaml", serviceYAML("a", "")+"---\n"+serviceYAML("b", ""))
		r := run(t.Context(), "", words(line)...)
		b.WriteString("$ fairlead " + line + "\n" + r.stdout + r.stderr)
		if r.code != exitFailed {
			t.Errorf("%s: exit code %d", line, r.code)
		}
		b.WriteByte('\n')
	}
	f.compare(t, "mistakes.golden", strings.ReplaceAll(b.String(), away, "AWAY"))
}

func TestTokens(t *testing.T) {
	f := start(t)
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		reason  string
		prepare func()
		args    []string
		want    string
	}{
		{"the file of the working folder", func() {}, nil, ""},
		{"a variable with a file goes first", func() { f.write("reader", "reader"); t.Setenv(envTokenFile, "reader") }, nil, "reader"},
		{"a variable with the token goes first", func() { t.Setenv(envToken, "nobody") }, nil, "$" + envToken},
		{"a flag goes before all", func() { f.write("mine", "bad") }, []string{"--token-file", "mine"}, "the file mine"},
		{"the file of the home folder is last", func() {
			t.Setenv(envToken, "")
			t.Setenv(envTokenFile, "")
			f.write(home+"/.config/fairlead/token", "old")
			if err := os.Remove(".fairlead/token"); err != nil {
				t.Fatal(err)
			}
		}, nil, "the file " + home + "/.config/fairlead/token"},
		{"none at all", func() {
			if err := os.Remove(home + "/.config/fairlead/token"); err != nil {
				t.Fatal(err)
			}
		}, nil, "there is no token to call the server with"},
	}
	for _, c := range cases {
		c.prepare()
		r := run(t.Context(), "", append([]string{"get", "roles"}, c.args...)...)
		if !strings.Contains(r.stderr, c.want) || (c.want == "") != (r.code == 0) {
			t.Errorf("%s: exit code %d: %s", c.reason, r.code, r.stderr)
		}
		if strings.Contains(r.stderr, "nobody") {
			t.Errorf("%s: the token is shown: %s", c.reason, r.stderr)
		}
	}
}

// TestTLS has a server that speaks TLS, and one that does not, met with each choice.
func TestTLS(t *testing.T) {
	isolate(t)
	t.Setenv(envToken, "admin")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	(&fixture{t: t}).write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	secure := serveNothing(t, grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})))
	open := serveNothing(t)
	for _, c := range []struct {
		reason string
		args   []string
		want   string
	}{
		{"TLS with the CA", []string{"--server", secure, "--ca-file", "ca.pem"}, "MethodNotAllowed"},
		{"in the clear to TLS", []string{"--server", secure}, "does not speak gRPC in the clear"},
		{"TLS to one without", []string{"--server", open, "--ca-file", "ca.pem"}, "does not speak gRPC over TLS"},
		{"in the clear on this machine", []string{"--server", open}, "MethodNotAllowed"},
	} {
		if r := run(t.Context(), "", append([]string{"get", "ksvc"}, c.args...)...); r.code != exitFailed || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: exit code %d: %s", c.reason, r.code, r.stderr)
		}
	}
	for address, want := range map[string]string{"example.com:1": "tls", "192.0.2.1:1": "tls", "localhost:1": "insecure", "[::1]:1": "insecure", "127.1.2.3:1": "insecure"} {
		creds, err := (&options{}).transport(address)
		if err != nil || creds.Info().SecurityProtocol != want {
			t.Errorf("%s: %v, %v", address, creds.Info().SecurityProtocol, err)
		}
	}
	p := &peer{address: secure, tls: true}
	if text := p.unreachable(`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"`); !strings.Contains(text, "--ca-file") {
		t.Error(text)
	}
}

// serveNothing runs a server without any service.
func serveNothing(t *testing.T, o ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(o...)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return listener.Addr().String()
}

// TestRequestTimeout has a server that takes connections and never answers.
func TestRequestTimeout(t *testing.T) {
	isolate(t)
	t.Setenv(envToken, "admin")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := run(t.Context(), "", "get", "ksvc", "--server", listener.Addr().String(), "--request-timeout", "50ms")
	if want := "did not answer within 50ms"; r.code != exitFailed || !strings.Contains(r.stderr, want) {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := run(ctx, "", "get", "ksvc", "--server", listener.Addr().String()); r.code != exitInterrupted || r.stderr != "" {
		t.Errorf("interrupted: exit code %d: %s", r.code, r.stderr)
	}
}

func TestGetWatch(t *testing.T) {
	f := start(t)
	if r := run(t.Context(), helloYAML, "apply", "-f", "-"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	table := background(t, "get", "ksvc", "--watch")
	yaml := background(t, "get", "ksvc", "hello", "-w", "-o", "yaml")
	table.out.until(t, "hello")
	yaml.out.until(t, "kind: Service")
	f.ready("hello", "True", "", "")
	table.out.until(t, "True")
	yaml.out.until(t, "---\n")
	only := background(t, "get", "ksvc", "--watch-only", "-o", "name")
	// Nothing tells that the last watch stands, so objects are made until it sees one.
	made := 0
	for !strings.Contains(only.out.text(), "service.serving.knative.dev/later") && made < 1000 {
		made++
		k := kindOf(t, &servingv1.Service{})
		obj, err := f.store.Create(t.Context(), k, &servingv1.Service{Metadata: metaOf("later-")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.Delete(t.Context(), k, store.KeyOf(obj), store.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []*running{table, yaml, only} {
		r.cancel()
		if code := r.wait(); code != exitInterrupted {
			t.Errorf("exit code %d: %s", code, r.err.text())
		}
	}
	if strings.Contains(only.out.text(), "hello") {
		t.Errorf("--watch-only shows what was there: %s", only.out.text())
	}
	if n := strings.Count(table.out.text(), "NAME"); n != 1 {
		t.Errorf("%d headers: %s", n, table.out.text())
	}
	if strings.Contains(yaml.out.text(), "later-") {
		t.Errorf("a watch of one object shows others: %s", yaml.out.text())
	}
}
