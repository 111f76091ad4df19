// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// websocketBearer is the prefix of the websocket subprotocol that carries a token, as browsers send it.
const websocketBearer = "base64url.bearer.authorization.k8s.io."

// passThrough hands requests on to the cluster in the caller's name.
type passThrough struct {
	target  *url.URL
	proxy   *httputil.ReverseProxy
	upgrade *httputil.ReverseProxy
	client  *http.Client
	ids     *identities
}

func newPassThrough(deps Deps, ids *identities) (*passThrough, error) {
	p := &passThrough{ids: ids}
	if deps.Cluster == nil {
		return p, nil
	}
	target, _, err := rest.DefaultServerUrlFor(deps.Cluster)
	if err != nil {
		return nil, fmt.Errorf("gateway: address of the cluster: %w", err)
	}
	p.target = target
	rt, err := rest.TransportFor(deps.Cluster)
	if err != nil {
		return nil, fmt.Errorf("gateway: transport to the cluster: %w", err)
	}
	p.client = &http.Client{Transport: rt, Timeout: 30 * time.Second}
	p.proxy = p.newProxy(rt, deps.Log)
	up, err := upgradeTransport(deps.Cluster)
	if err != nil {
		return nil, err
	}
	p.upgrade = p.newProxy(up, deps.Log)
	return p, nil
}

// upgradeTransport speaks HTTP/1.1 only, since exec and its like upgrade the connection.
func upgradeTransport(cfg *rest.Config) (http.RoundTripper, error) {
	tlsConfig, err := rest.TLSConfigFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("gateway: TLS to the cluster: %w", err)
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	tlsConfig.NextProtos = []string{"http/1.1"}
	tc, err := cfg.TransportConfig()
	if err != nil {
		return nil, fmt.Errorf("gateway: transport to the cluster: %w", err)
	}
	rt, err := transport.HTTPWrappersForConfig(tc, &http.Transport{TLSClientConfig: tlsConfig, TLSHandshakeTimeout: 10 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("gateway: transport to the cluster: %w", err)
	}
	return rt, nil
}

func (p *passThrough) newProxy(rt http.RoundTripper, log *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:     rt,
		FlushInterval: -1, // watches and logs
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(p.target)
			pr.Out.Host = p.target.Host
			impersonate(pr.Out.Header, callerFrom(pr.In.Context()))
		},
		ModifyResponse: p.redirectHere,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return
			}
			if e, ok := errors.AsType[*apierror.Error](err); ok {
				writeError(w, e)
				return
			}
			log.WarnContext(r.Context(), "cluster did not answer", "request_id", r.Header.Get(headerRequestID), "error", err)
			writeError(w, clusterAway())
		},
	}
}

// redirectHere keeps the cluster from sending clients elsewhere: what it says of its own address becomes a path here, and any other
// address is refused.
func (p *passThrough) redirectHere(res *http.Response) error {
	to := res.Header.Get("Location")
	if to == "" || res.StatusCode < 300 || res.StatusCode >= 400 {
		return nil
	}
	u, err := url.Parse(to)
	elsewhere := err != nil || u.Opaque != "" || strings.ContainsAny(to, "\\\t\r\n") || // browsers read more as an address than Go does
		u.Host != p.target.Host && (u.Host != "" || u.Scheme != "" || strings.HasPrefix(to, "//"))
	if elsewhere {
		return apierror.New(apierror.ReasonInternalError, "the cluster answered with a redirect to another host, which is not handed on; ask that host yourself, or whoever runs the cluster")
	}
	u.Scheme, u.Host, u.User = "", "", nil
	if strings.HasPrefix(u.Path, "//") {
		return apierror.New(apierror.ReasonInternalError, "the cluster answered with a redirect that looks like one to another host, which is not handed on; ask whoever runs the cluster")
	}
	res.Header.Set("Location", u.String())
	return nil
}

// forwardable tells whether a request is one for an API: it names a path, and wants no tunnel and no echo of itself.
func forwardable(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/") && r.Method != http.MethodConnect && r.Method != http.MethodTrace
}

func clusterAway() *apierror.Error {
	return apierror.Unavailable(5*time.Second, "the Kubernetes behind does not answer; check it, and try again")
}

// impersonate replaces everything in the headers that says who calls by the caller's name in the cluster. It runs last,
// so that a client cannot have a header of its own kept.
func impersonate(h http.Header, c *caller) {
	for name := range h {
		canonical := http.CanonicalHeaderKey(name)
		if strings.HasPrefix(canonical, "Impersonate-") || strings.HasPrefix(canonical, "X-Remote-") || canonical == "Authorization" || canonical == "Cookie" {
			delete(h, name)
		}
	}
	if protocols := h.Values("Sec-Websocket-Protocol"); len(protocols) > 0 {
		var kept []string
		for _, list := range protocols {
			for one := range strings.SplitSeq(list, ",") {
				if one = strings.TrimSpace(one); one != "" && !strings.HasPrefix(strings.ToLower(one), websocketBearer) {
					kept = append(kept, one)
				}
			}
		}
		h.Del("Sec-Websocket-Protocol")
		if len(kept) > 0 {
			h.Set("Sec-Websocket-Protocol", strings.Join(kept, ", "))
		}
	}
	if !c.cluster {
		h.Set("Impersonate-User", rpc.ClusterPrefix+c.user)
		for _, g := range c.groups {
			if g != groupAuthenticated { // the cluster adds it
				h.Add("Impersonate-Group", rpc.ClusterPrefix+g)
			}
		}
		return
	}
	h.Set("Impersonate-User", c.user)
	for _, g := range c.groups {
		h.Add("Impersonate-Group", g)
	}
	if c.uid != "" {
		h.Set("Impersonate-Uid", c.uid)
	}
	for key, values := range c.extra {
		for _, v := range values {
			h.Add("Impersonate-Extra-"+escapeHeaderKey(key), v)
		}
	}
}

// escapeHeaderKey writes what may not stand in the name of a header as kube-apiserver reads it: percent-encoded.
func escapeHeaderKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ServeHTTP hands a request on.
func (p *passThrough) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := p.mayActAs(r.Context()); err != nil {
		writeError(w, apierror.From(err))
		return
	}
	switch {
	case !forwardable(r):
		writeError(w, apierror.New(apierror.ReasonMethodNotAllowed, "%s is not supported at %q", r.Method, r.URL.Path))
	case p.absent(r.Context()):
		writeError(w, apierror.New(apierror.ReasonNotFound, "nothing is served at %s, and there is no Kubernetes behind to ask; GET /apis lists what there is", r.URL.Path))
	case upgrades(r):
		p.upgrade.ServeHTTP(w, r)
	default:
		p.proxy.ServeHTTP(w, r)
	}
}

// do asks the cluster something as the caller of ctx. The body of the answer is at most limit bytes.
func (p *passThrough) do(ctx context.Context, method, path string, header http.Header, body []byte) (int, http.Header, []byte, error) {
	const limit = 64 << 20
	if p.absent(ctx) {
		return 0, nil, nil, apierror.New(apierror.ReasonNotFound, "there is no Kubernetes behind; start the server with --kubeconfig")
	}
	if err := p.mayActAs(ctx); err != nil {
		return 0, nil, nil, err
	}
	u, err := p.target.Parse(path)
	if err != nil {
		return 0, nil, nil, apierror.BadRequest("%q is no path", path)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, apierror.Internal(err)
	}
	maps.Copy(req.Header, header)
	impersonate(req.Header, callerFrom(ctx))
	res, err := p.client.Do(req)
	if err != nil {
		return 0, nil, nil, clusterAway().Wrap(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, limit))
	if err != nil {
		return 0, nil, nil, clusterAway().Wrap(err)
	}
	return res.StatusCode, res.Header, data, nil
}

// getJSON reads a JSON document of the cluster into v, if there is one.
func (p *passThrough) getJSON(ctx context.Context, path, accept string, v any) (bool, http.Header, error) {
	if p.absent(ctx) {
		return false, nil, nil
	}
	code, header, data, err := p.do(ctx, http.MethodGet, path, http.Header{"Accept": {accept}}, nil)
	if err != nil {
		return false, nil, err
	}
	if code == http.StatusNotFound || code == http.StatusNotAcceptable {
		return false, nil, nil
	}
	if code != http.StatusOK { // half an answer would be taken for a whole one, and remembered
		return false, nil, fromKubernetes(code, data)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, nil, apierror.Internal(fmt.Errorf("gateway: %s of the cluster: %w", path, err))
	}
	return true, header, nil
}
