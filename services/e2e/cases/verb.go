// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import "net/http"

// What steps may do beside the verbs of kinds.
const (
	doHTTP = "http"
	doRPC  = "rpc"
)

// verb is how something is asked for, over REST and over gRPC.
type verb struct {
	// rpc is the method of the kind's service.
	rpc string
	// method is that of HTTP.
	method string
	// named tells that the path ends with the object's name, and subresource what follows it.
	named       bool
	subresource string
	// body tells that there is one.
	body bool
	// stream tells that there are many answers.
	stream bool
	// raw is for what is no verb of kinds.
	raw bool
}

var verbs = map[string]verb{ //nolint:gochecknoglobals // a table
	"create":           {rpc: "Create", method: http.MethodPost, body: true},
	"get":              {rpc: "Get", method: http.MethodGet, named: true},
	"list":             {rpc: "List", method: http.MethodGet},
	"update":           {rpc: "Update", method: http.MethodPut, named: true, body: true},
	"updateStatus":     {rpc: "UpdateStatus", method: http.MethodPut, named: true, subresource: "status", body: true},
	"patch":            {rpc: "Patch", method: http.MethodPatch, named: true, body: true},
	"patchStatus":      {rpc: "Patch", method: http.MethodPatch, named: true, subresource: "status", body: true},
	"delete":           {rpc: "Delete", method: http.MethodDelete, named: true},
	"deleteCollection": {rpc: "DeleteCollection", method: http.MethodDelete},
	"watch":            {rpc: "Watch", method: http.MethodGet, stream: true},
	"history":          {rpc: "History", method: http.MethodGet, named: true, subresource: "history"},
	"rollback":         {rpc: "Rollback", method: http.MethodPost, named: true, subresource: "rollback"},
	doHTTP:             {raw: true},
	doRPC:              {raw: true},
}
