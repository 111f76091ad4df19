// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import "strings"

// Bearer returns the token of an `authorization` header, `Bearer TOKEN`; false where it holds none.
func Bearer(header string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}
