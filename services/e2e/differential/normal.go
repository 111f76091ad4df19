// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"fairlead.dev/services/e2e/cases"
)

// normal writes what one server answers in a story without what no two servers have in common: uids, versions and names that
// a server makes are called after the order in which they come up, and times are all the same.
type normal struct {
	uids, versions, names map[string]string
}

func newNormal() *normal {
	return &normal{uids: map[string]string{}, versions: map[string]string{}, names: map[string]string{}}
}

// answer is what is compared of an answer.
func (n *normal) answer(e cases.Exchange) object {
	media, _, _ := mime.ParseMediaType(e.Header.Get("Content-Type"))
	out := object{"type": media}
	if e.Status != nil {
		out["status"] = n.status(e)
		return out
	}
	if out["object"] = n.value("", "", e.Object); e.Object == nil && e.Code >= http.StatusBadRequest {
		out["text"] = strings.ToValidUTF8(e.Text, "?")
	}
	var events []any
	for _, event := range e.Events {
		if event := n.event(event); event != nil {
			events = append(events, event)
		}
	}
	if len(events) > 0 {
		out["events"] = events
	}
	if len(e.Warnings) > 0 {
		out["warnings"] = slices.Clone(e.Warnings)
	}
	return out
}

// status is the reason of an error and what it is about. Messages are words for people.
func (n *normal) status(e cases.Exchange) object {
	out := object{"reason": string(e.Status.Reason)}
	if d := e.Status.Details; d != nil {
		for name, v := range map[string]string{"name": n.text(d.Name), "group": d.Group, "kind": d.Kind, "uid": n.text(string(d.UID))} {
			if v != "" {
				out[name] = v
			}
		}
		if d.RetryAfterSeconds > 0 {
			out["retryAfterSeconds"] = true
		}
		var causes []any
		for _, c := range d.Causes {
			causes = append(causes, c.Field+" "+string(c.Type))
		}
		slices.SortFunc(causes, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if len(causes) > 0 {
			out["causes"] = slices.Compact(causes)
		}
	}
	return out
}

// event is nil for bookmarks that come from time to time.
func (n *normal) event(event any) any {
	e, _ := event.(object)
	if e["type"] != "BOOKMARK" {
		return n.value("", "", event)
	}
	o, _ := e["object"].(object)
	meta, _ := o["metadata"].(object)
	if meta["annotations"] == nil {
		return nil
	}
	meta["resourceVersion"] = "*"
	return n.value("", "", event)
}

// value writes what is under a key of what is called parent.
func (n *normal) value(parent, key string, v any) any {
	switch v := v.(type) {
	case object:
		return n.object(key, v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = n.value(parent, key, item)
		}
		if key == "managedFields" {
			slices.SortStableFunc(out, func(a, b any) int { return cmp.Compare(text(a), text(b)) })
		}
		return out
	case string:
		return n.leaf(parent, key, v)
	default:
		return v
	}
}

func (n *normal) object(key string, v object) object {
	_, isList := v["items"].([]any)
	if meta, ok := v["metadata"].(object); ok {
		if prefix, ok := meta["generateName"].(string); ok && meta["name"] != nil {
			name := fmt.Sprint(meta["name"])
			if strings.HasPrefix(prefix, strings.TrimRight(name[:max(0, len(name)-5)], "-")) || strings.HasPrefix(name, prefix) {
				n.names[name] = prefix + "*"
			}
		}
		if isList || v["kind"] == "Table" {
			meta["resourceVersion"] = "*"
		}
	}
	out := make(object, len(v))
	for _, name := range sortedKeys(v) {
		if name == "continue" && v[name] == "" { // lists of custom resources say so that there is no more
			continue
		}
		out[name] = n.value(key, name, v[name])
	}
	return out
}

// age is how long ago something was, in a table.
var age = regexp.MustCompile(`^\d+s$`)

func (n *normal) leaf(parent, key, v string) string {
	about := parent == "metadata"
	switch {
	case about && key == "resourceVersion" && v != "*":
		return named(n.versions, "version", v)
	case key == "uid" && len(v) == 36:
		return named(n.uids, "uid", v)
	case about && key == "continue" && v != "":
		return "*"
	}
	if key == "cells" && age.MatchString(v) {
		return "AGE"
	}
	if _, err := time.Parse(time.RFC3339, v); err == nil && (about && strings.HasSuffix(key, "Timestamp") || key == "time") {
		return "TIME"
	}
	return n.text(v)
}

// text puts names for what a server made into a text.
func (n *normal) text(v string) string {
	if name, ok := n.names[v]; ok {
		return name
	}
	for uid, name := range n.uids {
		v = strings.ReplaceAll(v, uid, name)
	}
	return v
}

func named(names map[string]string, what, v string) string {
	if _, ok := names[v]; !ok {
		names[v] = fmt.Sprintf("%s-%d", what, len(names)+1)
	}
	return names[v]
}

func sortedKeys(m object) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
