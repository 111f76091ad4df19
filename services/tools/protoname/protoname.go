// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protoname makes the names of proto fields and files.
package protoname

import (
	"strings"
	"unicode"
)

// Snake returns the snake case of a name in camel case: `podIP` becomes `pod_ip`, `podIPs` becomes `pod_ips` and `setHostnameAsFQDN`
// becomes `set_hostname_as_fqdn`.
func Snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if startsWord(runes, i) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// startsWord tells whether a new word begins at i: at the first of a run of capitals, and at the last of such a run
// when small letters follow, but for a plural's s.
func startsWord(runes []rune, i int) bool {
	if i == 0 || !unicode.IsUpper(runes[i]) {
		return false
	}
	if !unicode.IsUpper(runes[i-1]) {
		return true
	}
	if i+1 >= len(runes) || !unicode.IsLower(runes[i+1]) {
		return false
	}
	plural := runes[i+1] == 's' && (i+2 == len(runes) || unicode.IsUpper(runes[i+2]))
	return !plural
}

// JSON returns the JSON name that protobuf itself would give to a field.
func JSON(name string) string {
	var b strings.Builder
	upper := false
	for _, r := range name {
		switch {
		case r == '_':
			upper = true
		case upper:
			b.WriteRune(unicode.ToUpper(r))
			upper = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
