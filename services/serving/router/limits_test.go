// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

// trickle is a body of four bytes, some time apart.
type trickle struct {
	n     int
	apart time.Duration
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.n == 4 {
		return 0, io.EOF
	}
	r.n++
	<-time.After(r.apart)
	return copy(p, "x"), nil
}

func TestLimits(t *testing.T) {
	const apart = 400 * time.Millisecond // four are more than a second
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		revision *servingv1.RevisionBackend
		pod      http.HandlerFunc
		body     io.Reader
		code     int
		text     string
		broken   bool // the answer ends before its end
	}{
		"no answer begins": {
			&servingv1.RevisionBackend{ResponseStartTimeoutSeconds: 1}, silent, nil,
			http.StatusGatewayTimeout, "no answer began within the revision's responseStartTimeoutSeconds (1s)", false,
		},
		"an answer that has begun may take its time": {
			&servingv1.RevisionBackend{ResponseStartTimeoutSeconds: 1},
			func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).Flush()
				_, _ = io.Copy(w, &trickle{apart: apart})
			},
			nil, http.StatusOK, "xxxx", false,
		},
		"no byte flows": {
			&servingv1.RevisionBackend{IdleTimeoutSeconds: 1}, silent, nil,
			http.StatusGatewayTimeout, "no byte was sent or received for the revision's idleTimeoutSeconds (1s)", false,
		},
		"no byte flows any more": {
			&servingv1.RevisionBackend{IdleTimeoutSeconds: 1},
			func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprint(w, "begin")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
			nil, http.StatusOK, "begin", true,
		},
		"an answer that trickles is not idle": {
			&servingv1.RevisionBackend{IdleTimeoutSeconds: 1},
			func(w http.ResponseWriter, _ *http.Request) {
				for range 4 {
					_, _ = io.CopyN(w, &trickle{apart: apart}, 1)
					_ = http.NewResponseController(w).Flush()
				}
			},
			nil, http.StatusOK, "xxxx", false,
		},
		"a body that trickles is not idle": {
			&servingv1.RevisionBackend{IdleTimeoutSeconds: 1},
			func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
			&trickle{apart: apart}, http.StatusOK, "xxxx", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, nil)
			tc.revision.Namespace, tc.revision.Name = "ns", "r"
			tc.revision.Pods = []*servingv1.PodEndpoint{{Address: server(t, tc.pod), Ready: true}}
			g.program(t, toR(), tc.revision)
			method := http.MethodGet
			if tc.body != nil {
				method = http.MethodPost
			}
			a := <-g.later(t, method, tc.body)
			if a.code != tc.code || !strings.Contains(a.body, tc.text) || (a.err != nil) != tc.broken {
				t.Errorf("got %d %q %v, want %d %q, broken: %t", a.code, a.body, a.err, tc.code, tc.text, tc.broken)
			}
		})
	}
}

func TestIdleEndsWhatNobodyReads(t *testing.T) {
	g := start(t, nil)
	ended := make(chan struct{})
	pod := server(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		block := make([]byte, 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	r := revision("r", true, pod)
	r.IdleTimeoutSeconds = 1
	g.program(t, toR(), r)
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(deadline):
		t.Fatal("the pod still writes")
	}
	g.report(t, func(r *servingv1.RouterServiceSyncRequest) bool {
		return len(r.GetLoads()) == 1 && r.GetLoads()[0].GetInFlight() == 0
	})
}

func TestIdleEndsAnUpgradedConnection(t *testing.T) {
	g := start(t, nil)
	pod := server(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	})
	r := revision("r", true, pod)
	r.TimeoutSeconds, r.ResponseStartTimeoutSeconds, r.IdleTimeoutSeconds = 1, 1, 1
	g.program(t, toR(), r)
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(deadline))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", resp, err)
	}
	echoed := make([]byte, 4)
	go func() { _, _ = io.Copy(conn, &trickle{apart: 400 * time.Millisecond}) }()
	if _, err := io.ReadFull(in, echoed); err != nil || string(echoed) != "xxxx" {
		t.Fatalf("the connection was in use: got %q, %v", echoed, err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the idle time: got %v, want the end", err)
	}
}
