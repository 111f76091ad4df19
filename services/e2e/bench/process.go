// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout bounds how long a process may take until it answers.
	startTimeout = 3 * time.Minute
	// stopTimeout bounds how long a process may take to end.
	stopTimeout = 30 * time.Second
	// readyEvery is the time between looks whether a process answers.
	readyEvery = 5 * time.Millisecond
	// clockTicks is in how many parts of a second the kernel counts a process's time.
	clockTicks = 100
)

// process is a program that the benchmark has started.
type process struct {
	name string
	path string
	args []string
	log  string
	// ready is the URL that answers 200 once the process serves, and client what asks it.
	ready  string
	client *http.Client

	cmd  *exec.Cmd
	done chan error
}

// start starts the process and returns how long it took until it was ready.
func (p *process) start(ctx context.Context) (time.Duration, error) {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("%s: log: %w", p.name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(p.path, p.args...) //nolint:noctx // a program of ours, ended by stop
	p.cmd.Args[0] = p.name
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", p.name, err)
	}
	p.done = make(chan error, 1)
	go func() { p.done <- p.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for !p.answers(ctx) {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s does not answer at %s: %w; its log is %s", p.name, p.ready, ctx.Err(), p.log)
		case err := <-p.done:
			p.done <- err
			return 0, fmt.Errorf("%s ended (%w); the end of its log:\n%s", p.name, err, tail(p.log))
		case <-tick.C:
		}
	}
	return time.Since(began), nil
}

func (p *process) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.ready, nil)
	if err != nil {
		return false
	}
	client := p.client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stop ends the process, and waits for its end.
func (p *process) stop() error {
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil //nolint:nilerr // it has ended
	}
	select {
	case err := <-p.done:
		p.done <- err
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		p.done <- <-p.done
	}
	return nil
}

// cpu is the processor time that the process has used.
func (p *process) cpu() (time.Duration, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest) // from field 3 of proc(5)'s stat; 14 and 15 are the times
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s: /proc has no times", p.name)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: times: %w", p.name, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// anonymous is the memory that the process itself holds, in bytes, without mapped files: etcd maps its database.
func (p *process) anonymous() (int64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "RssAnon:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s: /proc has no RssAnon", p.name)
}

// tail is the end of a file.
func tail(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// freePorts returns ports that are free on loopback.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		defer l.Close()
		tcp, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("free port: %s is no TCP address", l.Addr())
		}
		ports[i] = tcp.Port
	}
	return ports, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// newEtcd describes an etcd process of its own, as durable as any: it waits for the disk.
func newEtcd(binary, dir, name string) (p *process, endpoint string, err error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, "", err
	}
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("etcd: %w", err)
	}
	endpoint = "http://" + loopback(ports[0])
	peer := "http://" + loopback(ports[1])
	config := strings.Join([]string{
		"name: bench", "data-dir: " + strconv.Quote(filepath.Join(dir, "data")),
		"listen-client-urls: " + endpoint, "advertise-client-urls: " + endpoint,
		"listen-peer-urls: " + peer, "initial-advertise-peer-urls: " + peer, "initial-cluster: bench=" + peer,
		"quota-backend-bytes: 8589934592", "log-level: error", "warning-unary-request-duration: 3000000000", // in nanoseconds; a configuration file starts from zero
		"grpc-keepalive-min-time: 5000000000", "",
	}, "\n")
	file := filepath.Join(dir, "etcd.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, "", fmt.Errorf("etcd: %w", err)
	}
	return &process{
		name: "etcd", path: binary, args: []string{file}, log: filepath.Join(dir, "log"), ready: endpoint + "/health",
	}, endpoint, nil
}

// newKubeAPIServer describes a kube-apiserver over an etcd, with one administrator who has a token.
func newKubeAPIServer(binary, dir, etcdEndpoint, token string, client *http.Client) (p *process, url string, err error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, "", err
	}
	dir = filepath.Join(dir, "kube-apiserver")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("kube-apiserver: %w", err)
	}
	tokens, keyFile := filepath.Join(dir, "tokens.csv"), filepath.Join(dir, "sa.key")
	if err := os.WriteFile(tokens, []byte(token+`,admin,admin,"system:masters"`+"\n"), 0o600); err != nil {
		return nil, "", fmt.Errorf("kube-apiserver: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", fmt.Errorf("kube-apiserver: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(keyFile, block, 0o600); err != nil {
		return nil, "", fmt.Errorf("kube-apiserver: %w", err)
	}
	url = "https://" + loopback(ports[0])
	return &process{
		name: "kube-apiserver", path: binary, log: filepath.Join(dir, "log"), ready: url + "/readyz", client: client,
		args: []string{
			"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + strconv.Itoa(ports[0]),
			"--etcd-servers=" + etcdEndpoint, "--cert-dir=" + dir, "--token-auth-file=" + tokens,
			"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none",
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + keyFile,
			"--service-account-signing-key-file=" + keyFile, "--authorization-mode=RBAC",
			"--max-requests-inflight=1600", "--max-mutating-requests-inflight=800",
		},
	}, url, nil
}
