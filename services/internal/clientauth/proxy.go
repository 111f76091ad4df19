// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fairlead.dev/services/internal/rpc"
)

// Proxy is a front proxy: whoever shows a certificate of its authority may say in headers for whom it calls.
type Proxy struct {
	// PEM is its authority's certificates.
	PEM []byte
	// AllowedNames are the common names of its certificates; none means any.
	AllowedNames []string
	// UsernameHeaders, UIDHeaders and GroupHeaders are the headers that say who calls, the first that is there; all of
	// them for groups. ExtraHeaderPrefixes are what headers begin with that say what else is known of the caller.
	UsernameHeaders, UIDHeaders, GroupHeaders, ExtraHeaderPrefixes []string
	// Aggregator tells that it is the cluster's kube-apiserver, which hands on what is asked of the cluster's own endpoint.
	Aggregator bool
}

type proxy struct {
	Proxy

	pool *x509.CertPool
}

// Kubernetes' defaults.
const (
	headerUser  = "X-Remote-User"
	headerUID   = "X-Remote-Uid"
	headerGroup = "X-Remote-Group"
	prefixExtra = "X-Remote-Extra-"
)

func (p Proxy) withDefaults() Proxy {
	for _, d := range []struct {
		of    *[]string
		value string
	}{{&p.UsernameHeaders, headerUser}, {&p.UIDHeaders, headerUID}, {&p.GroupHeaders, headerGroup}, {&p.ExtraHeaderPrefixes, prefixExtra}} {
		if len(*d.of) == 0 {
			*d.of = []string{d.value}
		}
	}
	return p
}

// Remote is what a request says of its caller by other means than a token. It is taken from the request, so that nobody
// behind comes to believe it.
type Remote struct {
	header http.Header
}

// Take removes from a request's headers all by which front proxies say who calls, whoever sent them, and returns them.
func (t *Trust) Take(h http.Header) Remote {
	out := Remote{http.Header{}}
	proxies := append([]proxy{{Proxy: Proxy{}.withDefaults()}}, t.current().proxies...)
	for name := range h {
		canonical := http.CanonicalHeaderKey(name)
		for _, p := range proxies {
			if !p.says(canonical) {
				continue
			}
			out.header[canonical] = append(out.header[canonical], h[name]...)
			delete(h, name)
			break
		}
	}
	return out
}

// says tells whether a header is one by which the proxy says who calls.
func (p *proxy) says(header string) bool {
	is := func(one string) bool { return http.CanonicalHeaderKey(one) == header }
	return strings.HasPrefix(header, "X-Remote-") || slices.ContainsFunc(slices.Concat(p.UsernameHeaders, p.UIDHeaders, p.GroupHeaders), is) ||
		slices.ContainsFunc(p.ExtraHeaderPrefixes, func(prefix string) bool {
			return strings.HasPrefix(header, http.CanonicalHeaderKey(prefix))
		})
}

// Proxied returns for whom a front proxy calls; nil where the certificate is none of a front proxy's, or the proxy names
// nobody. It also tells whether the proxy is the cluster's kube-apiserver.
func (t *Trust) Proxied(certs []*x509.Certificate, r Remote, now time.Time) (id *rpc.Identity, aggregator bool, err error) {
	if len(certs) == 0 {
		return nil, false, nil
	}
	for _, p := range t.current().proxies {
		if len(p.AllowedNames) > 0 && !slices.Contains(p.AllowedNames, certs[0].Subject.CommonName) || verify(p.pool, certs, now) != nil {
			continue
		}
		id := p.identity(r)
		if id == nil {
			continue
		}
		if err := allowed(id, true); err != nil {
			return nil, false, fmt.Errorf("front proxy: %w", err)
		}
		return id, p.Aggregator, nil
	}
	return nil, false, nil
}

func (p *proxy) identity(r Remote) *rpc.Identity {
	id := &rpc.Identity{User: first(r.header, p.UsernameHeaders), UID: first(r.header, p.UIDHeaders), Source: rpc.SourceFrontProxy}
	if id.User == "" {
		return nil
	}
	for _, name := range p.GroupHeaders {
		id.Groups = append(id.Groups, r.header.Values(name)...)
	}
	for name, values := range r.header {
		for _, prefix := range p.ExtraHeaderPrefixes {
			key, ok := strings.CutPrefix(strings.ToLower(name), strings.ToLower(prefix))
			if !ok || key == "" {
				continue
			}
			if plain, err := url.PathUnescape(key); err == nil {
				key = plain
			}
			if id.Extra == nil {
				id.Extra = map[string][]string{}
			}
			id.Extra[key] = append(id.Extra[key], values...)
		}
	}
	return id
}

func first(h http.Header, names []string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// The ConfigMap in which a cluster says whom its kube-apiserver believes.
const (
	// ConfigMapNamespace is where it is.
	ConfigMapNamespace = "kube-system"
	// ConfigMapName is its name.
	ConfigMapName = "extension-apiserver-authentication"
)

// OfCluster reads what the cluster says in the ConfigMap: the authority of its clients, if it tells one, and its
// kube-apiserver as a front proxy, if it is one.
func OfCluster(data map[string]string) (clients *Authorities, aggregator *Proxy, err error) {
	if text := data["client-ca-file"]; text != "" {
		clients = &Authorities{PEM: []byte(text), Cluster: true}
	}
	text := data["requestheader-client-ca-file"]
	if text == "" {
		return clients, nil, nil
	}
	p := &Proxy{PEM: []byte(text), Aggregator: true}
	for _, list := range []struct {
		key string
		to  *[]string
	}{
		{"requestheader-allowed-names", &p.AllowedNames},
		{"requestheader-username-headers", &p.UsernameHeaders},
		{"requestheader-uid-headers", &p.UIDHeaders},
		{"requestheader-group-headers", &p.GroupHeaders},
		{"requestheader-extra-headers-prefix", &p.ExtraHeaderPrefixes},
	} {
		if value := data[list.key]; value != "" {
			if err := json.Unmarshal([]byte(value), list.to); err != nil {
				return nil, nil, fmt.Errorf("%s/%s: %s is no list of strings in JSON: %w", ConfigMapNamespace, ConfigMapName, list.key, err)
			}
		}
	}
	return clients, p, nil
}
