// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"sigs.k8s.io/yaml"

	"fairlead.dev/services/internal/apierror"
)

// JSONToYAML writes a JSON value as YAML with sorted keys, as kubectl does.
func JSONToYAML(data []byte) ([]byte, error) {
	// JSON is read as if it were YAML, which has fewer escapes and knows more line breaks.
	formatted, err := jsontext.AppendFormat(nil, data, jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, apierror.Internal(err)
	}
	out, err := yaml.JSONToYAML(escapeForYAML(formatted))
	if err != nil {
		return nil, apierror.Internal(err)
	}
	return out, nil
}

// escapeForYAML escapes what stands for itself in JSON's strings, but not in those of YAML: its further line breaks, which
// would become spaces, and characters that it does not allow.
func escapeForYAML(data []byte) []byte {
	var out []byte
	for done, i := 0, 0; ; {
		r, size := utf8.DecodeRune(data[i:])
		if i == len(data) || foreignToYAML(r) {
			out = append(out, data[done:i]...)
			if i == len(data) {
				return out
			}
			out = fmt.Appendf(out, `\u%04x`, r)
			done = i + size
		}
		i += size
	}
}

func foreignToYAML(r rune) bool {
	return r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == '\ufffe' || r == '\uffff'
}
