// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkRequest compares requests through the router with the limit: the same requests straight to the pod.
func BenchmarkRequest(b *testing.B) {
	g := start(b, nil)
	pod := server(b, named("pod"))
	g.program(b, toR(), revision("r", true, pod))
	for name, address := range map[string]string{"router": g.address, "direct": pod} {
		b.Run(name, func(b *testing.B) {
			transport := &http.Transport{MaxIdleConnsPerHost: 256}
			defer transport.CloseIdleConnections()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, _ := http.NewRequest(http.MethodGet, "http://"+address, http.NoBody)
					req.Host = "a"
					resp, err := transport.RoundTrip(req)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		})
	}
}

// BenchmarkChoose is what a request costs inside the router, without any network.
func BenchmarkChoose(b *testing.B) {
	g := start(b, nil)
	pods := strings.Split(strings.Repeat("127.0.0.1:1,", 20), ",")
	for i := range pods {
		pods[i] += strings.Repeat("0", i%3) // they need not be there
	}
	g.program(b, toR(), revision("r", true, pods...))
	backend := g.router.table.Load().hosts["a"].choose(0)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			backend.begin()
			p, err := backend.acquire(b.Context(), false)
			if err != nil {
				b.Error(err)
				return
			}
			backend.release(p)
			backend.end()
		}
	})
}
