// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/internal/apierror"
)

// part is a Part that notes what happens to it.
type part struct {
	name  string
	notes *notes
	fault string
	fail  error
}

type notes struct{ lines chan string }

func (n *notes) add(line string) { n.lines <- line }

func (n *notes) all() []string {
	close(n.lines)
	var lines []string
	for l := range n.lines {
		lines = append(lines, l)
	}
	return lines
}

func (p *part) Validate(f *Faults) {
	if p.fault != "" {
		f.Addf(p.fault, "is wrong")
	}
}

func (p *part) Open(context.Context) error { p.notes.add("open " + p.name); return p.fail }

func (p *part) Start(t *Tiers) {
	for name, tier := range map[string]*Tier{"state": t.State, "work": t.Work, "front": t.Front} {
		tier.Run(p.name, func(ctx context.Context) error {
			<-ctx.Done()
			p.notes.add("end " + name)
			return nil
		})
	}
}

func newTest(t *testing.T, args ...string) (*Process, func(ctx context.Context) error) {
	t.Helper()
	p := New(Options{Name: "test"})
	return p, func(ctx context.Context) error {
		p.cmd.SetArgs(append([]string{"--data-dir", t.TempDir(), "--metrics-listen", "127.0.0.1:0", "--log-level", "error"}, args...))
		p.cmd.SilenceErrors, p.cmd.SilenceUsage = true, true
		return p.cmd.ExecuteContext(ctx)
	}
}

func TestPartsOpenInOrderAndEndFromTheTop(t *testing.T) {
	n := &notes{make(chan string, 100)}
	p, run := newTest(t)
	p.Add(&part{name: "a", notes: n})
	p.Add(&part{name: "b", notes: n})
	ctx, cancel := context.WithCancel(t.Context())
	p.Once("a step", func(context.Context) error { cancel(); return nil })
	p.OnClose(func() error { n.add("close first"); return nil })
	p.OnClose(func() error { n.add("close last"); return nil })
	if err := run(ctx); err != nil {
		t.Fatal(err)
	}
	got := n.all()
	want := []string{"open a", "open b", "end front", "end front", "end work", "end work", "end state", "end state", "close last", "close first"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAPartThatFailsEndsTheProcess(t *testing.T) {
	cases := []struct {
		reason string
		add    func(p *Process, n *notes)
		want   string
	}{
		{"one does not open", func(p *Process, n *notes) { p.Add(&part{name: "a", notes: n, fail: errors.New("no etcd")}) }, "no etcd"},
		{"a step of the start fails", func(p *Process, _ *notes) {
			p.Once("its keys", func(context.Context) error { return errors.New("no keys") })
		}, "no keys"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			n := &notes{make(chan string, 100)}
			p, run := newTest(t)
			c.add(p, n)
			if err := run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEveryFaultIsToldWithItsFlag(t *testing.T) {
	p, run := newTest(t, "--installation", "No_Good", "--trace-sample-ratio", "2", "--trace-ca", "x", "--log-format", "xml", "--door", "1.2.3.4", "--pods", "0.0.0.0:1", "--inside", "1.2.3.4:80")
	p.Flags().Address("door", "", "", Needed)
	p.Flags().Address("pods", "", "", PodNetwork)
	p.Flags().Address("inside", "", "", Loopback)
	p.Flags().Address("empty", "", "", Needed)
	p.Add(&part{fault: "of-a-part", notes: &notes{make(chan string, 1)}})
	err := run(t.Context())
	if err == nil {
		t.Fatal("it ran")
	}
	for _, flag := range []string{"installation", "trace-sample-ratio", "trace-ca", "log-format", "door", "pods", "inside", "empty", "of-a-part"} {
		if !strings.Contains(err.Error(), "--"+flag+" ") {
			t.Errorf("nothing is said of --%s: %v", flag, err)
		}
	}
}

func TestTheSameFlagIsSharedByParts(t *testing.T) {
	p, _ := newTest(t)
	first, address := p.Flags().String("x", "", ""), p.Flags().Address("y", "", "")
	if p.Flags().String("x", "", "") != first || p.Flags().Address("y", "", "") != address {
		t.Error("two parts that ask for one flag get two values")
	}
}

func TestAPortThatIsTakenIsSaidFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := &notes{make(chan string, 10)}
	p, run := newTest(t, "--door", l.Addr().String())
	p.Flags().Address("door", "", "").Listen()
	p.Add(&part{name: "a", notes: n})
	if err := run(t.Context()); err == nil || !strings.Contains(err.Error(), "--door") {
		t.Errorf("got %v, want the flag", err)
	}
	if got := n.all(); len(got) > 0 {
		t.Errorf("parts were opened: %q", got)
	}
}

// TestProfilesAndMetricsAreForThoseWhoMay asks a process at loopback and elsewhere.
func TestProfilesAndMetricsAreForThoseWhoMay(t *testing.T) {
	cases := []struct {
		reason, path, token string
		remote, unasked     bool
		want                int
	}{
		{reason: "profiles without a token", path: "/debug/pprof/", want: 401},
		{reason: "profiles of a stranger", path: "/debug/pprof/heap", token: "stranger", want: 403},
		{reason: "profiles of one who may", path: "/debug/pprof/heap", token: "admin", want: 200},
		{reason: "profiles where nobody can be asked", path: "/debug/pprof/", token: "admin", unasked: true, want: 403},
		{reason: "metrics on loopback", path: "/metrics", want: 200},
		{reason: "metrics elsewhere", path: "/metrics", remote: true, want: 401},
		{reason: "metrics elsewhere of one who may", path: "/metrics", token: "admin", remote: true, want: 200},
		{reason: "liveness elsewhere", path: "/livez", remote: true, want: 200},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			dir := t.TempDir()
			listen, scheme := "127.0.0.1:0", "http"
			if c.remote {
				listen, scheme = "0.0.0.0:0", "https"
			}
			p, run := newTest(t, "--metrics-listen", listen, "--tls-dir", dir)
			if !c.unasked {
				p.SetAccess(func(_ context.Context, authorization, path string) error {
					if authorization != "Bearer admin" {
						return apierror.Forbidden(apierror.Resource{}, "", "%s is not for you", path)
					}
					return nil
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ready := make(chan struct{})
			p.Once("a step", func(context.Context) error { close(ready); return nil })
			done := make(chan error, 1)
			go func() { done <- run(ctx) }()
			select {
			case <-ready:
			case err := <-done:
				t.Fatal(err)
			}
			pool := x509.NewCertPool()
			ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
			if err != nil {
				t.Fatal(err)
			}
			pool.AppendCertsFromPEM(ca)
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
			defer client.CloseIdleConnections()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+p.metricsListen.Reachable()+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.token != "" {
				req.Header.Set("Authorization", "Bearer "+c.token)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("%s: %d %.200s, want %d", c.path, res.StatusCode, body, c.want)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
