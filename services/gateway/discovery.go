// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/munnerz/goautoneg"
	apidiscovery "k8s.io/api/apidiscovery/v2"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// aggregatedV2 is the media type of discovery in one document.
const aggregatedV2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// aggregatedKind is the kind of that document, and discoveryGroup its group.
const (
	aggregatedKind = "APIGroupDiscoveryList"
	discoveryGroup = "apidiscovery.k8s.io"
)

// discovery lists our groups beside the cluster's own.
type discovery struct {
	kinds   func() []kinds.Kind
	cluster *passThrough
}

// groupVersions are the versions of each group. Those with kinds that are stored come first, so that clients prefer them, and
// then older ones, the newest first.
func (d *discovery) groupVersions() map[string][]string {
	out := map[string][]string{}
	stored := map[string]int{}
	for _, older := range []bool{false, true} {
		for _, k := range d.kinds() {
			if (k.StoredVersion != "") == older && !slices.Contains(out[k.Group], k.Version) {
				out[k.Group] = append(out[k.Group], k.Version)
				if !older {
					stored[k.Group]++
				}
			}
		}
	}
	for group, versions := range out {
		slices.SortFunc(versions[stored[group]:], func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	}
	return out
}

func (d *discovery) groups() []string {
	return slices.Sorted(maps.Keys(d.groupVersions()))
}

// handles tells whether a path is one of discovery that we answer.
func (d *discovery) handles(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/version":
		return true
	case path == "/api", path == "/api/":
		return d.cluster.proxy == nil
	case parts[0] != "apis" || len(parts) > 3:
		return false
	case len(parts) == 1:
		return true
	}
	versions, ok := d.groupVersions()[parts[1]]
	return ok && (len(parts) == 2 || slices.Contains(versions, parts[2]))
}

func (d *discovery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, notSupported(r))
		return
	}
	aggregated, err := discoveryForm(r)
	if err == nil {
		err = d.serve(w, r, aggregated)
	}
	if err != nil {
		writeError(w, apierror.From(err))
	}
}

func (d *discovery) serve(w http.ResponseWriter, r *http.Request, aggregated string) error {
	var answer any
	var err error
	contentType := mimeJSON
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/version":
		answer, err = d.version(r.Context())
	case parts[0] == "api":
		answer = &kmetav1.APIVersions{TypeMeta: kmetav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{}}
	case len(parts) == 1 && aggregated != "":
		var ok bool
		if answer, ok, err = d.aggregated(r.Context(), aggregated); err == nil && ok {
			contentType = strings.Replace(aggregatedV2, "v=v2;", "v="+aggregated+";", 1)
			break
		}
		if err == nil { // the cluster is too old for it: clients then go group by group
			answer, err = d.groupList(r.Context())
		}
	case len(parts) == 1:
		answer, err = d.groupList(r.Context())
	case len(parts) == 2:
		answer = d.group(parts[1])
	default:
		answer = d.resourceList(parts[1], parts[2])
	}
	if err == nil {
		writeTagged(w, r, contentType, answer)
	}
	return err
}

// discoveryForm reads from the Accept header in which version everything is wanted in one document; empty is a document for
// each group.
func discoveryForm(r *http.Request) (string, error) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return "", nil
	}
	for _, clause := range goautoneg.ParseAccept(header) {
		switch as, version := clause.Params["as"], clause.Params["v"]; {
		case mediaType(clause) != mimeJSON:
		case as == "":
			return "", nil
		case as == aggregatedKind && clause.Params["g"] == discoveryGroup && (version == "v2" || version == "v2beta1"):
			return version, nil
		}
	}
	return "", notAcceptable(header, "accept application/json")
}

// version is the cluster's version, since clients take features from it.
func (d *discovery) version(ctx context.Context) (version.Info, error) {
	info := version.Info{Major: "1", Minor: "34", GitVersion: "v1.34.0"}
	_, _, err := d.cluster.getJSON(ctx, "/version", mimeJSON, &info)
	return info, err
}

func (d *discovery) group(name string) kmetav1.APIGroup {
	g := kmetav1.APIGroup{TypeMeta: kmetav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: name}
	for _, v := range d.groupVersions()[name] {
		g.Versions = append(g.Versions, kmetav1.GroupVersionForDiscovery{GroupVersion: name + "/" + v, Version: v})
	}
	g.PreferredVersion = g.Versions[0]
	return g
}

// groupList merges our groups into the cluster's list; groups of the cluster that are ours by name are dropped.
func (d *discovery) groupList(ctx context.Context) (kmetav1.APIGroupList, error) {
	list := kmetav1.APIGroupList{}
	if _, _, err := d.cluster.getJSON(ctx, "/apis", mimeJSON, &list); err != nil {
		return list, err
	}
	list.TypeMeta = kmetav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}
	ours := d.groups()
	list.Groups = slices.DeleteFunc(list.Groups, func(g kmetav1.APIGroup) bool { return slices.Contains(ours, g.Name) })
	for _, name := range ours {
		g := d.group(name)
		g.TypeMeta = kmetav1.TypeMeta{}
		list.Groups = append(list.Groups, g)
	}
	return list, nil
}

func (d *discovery) verbs() kmetav1.Verbs {
	return kmetav1.Verbs{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
}

// subresource is a path below those of a kind's objects.
type subresource struct {
	name  string
	verbs []string
}

func subresources(k kinds.Kind) []subresource {
	out := []subresource{{"history", []string{"get"}}, {"rollback", []string{"create"}}}
	if k.HasStatus {
		out = append(out, subresource{"status", []string{"get", "patch", "update"}})
	}
	return out
}

func (d *discovery) resourceList(group, ver string) kmetav1.APIResourceList {
	list := kmetav1.APIResourceList{TypeMeta: kmetav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: group + "/" + ver}
	for _, k := range d.kinds() {
		if k.Group != group || k.Version != ver {
			continue
		}
		list.APIResources = append(list.APIResources, kmetav1.APIResource{
			Name: k.Plural, SingularName: k.Singular, Namespaced: k.Namespaced, Kind: k.Kind,
			Verbs: d.verbs(), ShortNames: k.ShortNames, Categories: k.Categories,
		})
		for _, sub := range subresources(k) {
			list.APIResources = append(list.APIResources, kmetav1.APIResource{
				Name: k.Plural + "/" + sub.name, Namespaced: k.Namespaced, Kind: k.Kind, Verbs: sub.verbs,
			})
		}
	}
	return list
}

// groupDiscoveryList is an APIGroupDiscoveryList of any version, whose items are as the cluster writes them.
type groupDiscoveryList struct {
	kmetav1.TypeMeta `json:",inline"`
	kmetav1.ListMeta `json:"metadata"`

	Items []json.RawMessage `json:"items"`
}

// aggregated merges our groups into the cluster's list of everything. The second result is false if the cluster has no such
// list. Its versions differ in name only.
func (d *discovery) aggregated(ctx context.Context, version string) (groupDiscoveryList, bool, error) {
	list := groupDiscoveryList{}
	found, header, err := d.cluster.getJSON(ctx, "/apis", aggregatedV2, &list)
	if err != nil || found && !strings.Contains(header.Get("Content-Type"), "as="+aggregatedKind) {
		return list, false, err
	}
	list.TypeMeta = kmetav1.TypeMeta{Kind: aggregatedKind, APIVersion: discoveryGroup + "/" + version}
	ours := d.groups()
	list.Items = slices.DeleteFunc(list.Items, func(raw json.RawMessage) bool {
		var g kmetav1.PartialObjectMetadata
		return json.Unmarshal(raw, &g) != nil || slices.Contains(ours, g.Name)
	})
	for _, name := range ours {
		raw, err := json.Marshal(d.groupDiscovery(name))
		if err != nil {
			return list, false, apierror.Internal(err)
		}
		list.Items = append(list.Items, raw)
	}
	return list, true, nil
}

func (d *discovery) groupDiscovery(name string) apidiscovery.APIGroupDiscovery {
	g := apidiscovery.APIGroupDiscovery{ObjectMeta: kmetav1.ObjectMeta{Name: name}}
	for _, v := range d.groupVersions()[name] {
		gv := apidiscovery.APIVersionDiscovery{Version: v, Freshness: apidiscovery.DiscoveryFreshnessCurrent}
		for _, k := range d.kinds() {
			if k.Group != name || k.Version != v {
				continue
			}
			kind := &kmetav1.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}
			res := apidiscovery.APIResourceDiscovery{
				Resource: k.Plural, ResponseKind: kind, Scope: apidiscovery.ScopeCluster, SingularResource: k.Singular,
				Verbs: d.verbs(), ShortNames: k.ShortNames, Categories: k.Categories,
			}
			if k.Namespaced {
				res.Scope = apidiscovery.ScopeNamespace
			}
			for _, sub := range subresources(k) {
				res.Subresources = append(res.Subresources, apidiscovery.APISubresourceDiscovery{Subresource: sub.name, ResponseKind: kind, Verbs: sub.verbs})
			}
			gv.Resources = append(gv.Resources, res)
		}
		g.Versions = append(g.Versions, gv)
	}
	return g
}
