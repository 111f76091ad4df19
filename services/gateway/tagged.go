// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"fairlead.dev/services/internal/apierror"
)

// writeTagged answers with a document and its ETag, or tells the client that the one it has is still right.
func writeTagged(w http.ResponseWriter, r *http.Request, contentType string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		writeError(w, apierror.Internal(err))
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Vary", "Accept")
	w.Header().Set("ETag", `"`+hashOf(data)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
