// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"slices"
	"strings"
)

// redacted stands where something secret stood.
const redacted = "[left out]"

// secretNames are names of values that are secrets wherever they stand, in lower case and without - and _.
func secretNames() []string {
	return []string{
		"authorization", "apikey", "accesskey", "secretkey", "bearer", "clientsecret", "credential", "credentials", "kubeconfig",
		"passphrase", "passwd", "password", "privatekey", "pwd", "secret", "stringdata", "token",
	}
}

// lastApplied holds a whole object in one string.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Redact returns a JSON document without the values whose names say that they are secrets, and without those of
// environment variables with such names. What is no JSON is left out altogether.
func Redact(document []byte) json.RawMessage {
	var v any
	if err := json.Unmarshal(document, &v); err != nil {
		return nil
	}
	out, err := json.Marshal(redact(v))
	if err != nil {
		return nil
	}
	return out
}

func redact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["name"].(string); ok && isSecret(name) {
			if _, ok := v["value"].(string); ok {
				v["value"] = redacted
			}
		}
		if path, ok := v["path"].(string); ok && v["op"] != nil && isSecret(path[strings.LastIndex(path, "/")+1:]) {
			v["value"] = redacted // of a JSON patch
		}
		for name, inner := range v {
			v[name] = redactNamed(name, inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = redact(inner)
		}
	}
	return v
}

func redactNamed(name string, v any) any {
	if name != lastApplied && !isSecret(name) {
		return redact(v)
	}
	switch v := v.(type) {
	case string:
		return redacted
	case []any:
		if slices.ContainsFunc(v, func(inner any) bool { _, ok := inner.(string); return ok }) {
			return redacted
		}
		return redact(v)
	case map[string]any:
		if strings.EqualFold(name, "stringData") {
			return redacted
		}
		return redact(v) // a reference to a secret, or its volume
	default:
		return v
	}
}

// isSecret tells whether a name says that its value is a secret: as a whole, or as it ends, as DB_PASSWORD does.
func isSecret(name string) bool {
	plain := strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
	return slices.ContainsFunc(secretNames(), func(s string) bool { return strings.HasSuffix(plain, s) })
}
