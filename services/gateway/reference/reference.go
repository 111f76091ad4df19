// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reference serves a page that shows the API of our groups to people, from their OpenAPI documents. The page needs no
// token and holds no secret; the documents need one, which the page asks for. Nothing comes from other servers.
package reference

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/swaggest/swgui/v5/static"

	"fairlead.dev/gen/go/kinds"
)

// Path is below which the page and its files are.
const Path = "/reference/"

// policy has browsers load nothing from elsewhere, and show the page in no other. Swagger UI sets styles of elements.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed index.html reference.css reference.js
var embedded embed.FS

// swaggerUI are the files of Swagger UI that the page uses.
var swaggerUI = []string{"swagger-ui.css", "swagger-ui-bundle.js"}

// file is one of the page.
type file struct {
	mime, hash string
	data       []byte
}

// Handler serves the page.
type Handler struct{ files map[string]file }

// New makes a page about the groups of kinds.
func New(ks []kinds.Kind) (*Handler, error) {
	h := &Handler{files: map[string]file{}}
	err := fs.WalkDir(embedded, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(name)
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		h.add(name, data)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: the page of the API reference: %w", err)
	}
	h.files[""] = h.files["index.html"]
	for _, name := range swaggerUI {
		data, err := unpacked(name)
		if err != nil {
			return nil, fmt.Errorf("gateway: %s of the API reference: %w", name, err)
		}
		h.add("swagger-ui/"+name, data)
	}
	var groups []string
	for _, k := range ks {
		groups = append(groups, k.APIVersion())
	}
	slices.Sort(groups)
	data, err := json.Marshal(slices.Compact(groups))
	if err != nil {
		return nil, fmt.Errorf("gateway: groups of the API reference: %w", err)
	}
	h.add("groups.json", data)
	return h, nil
}

// unpacked returns a file of Swagger UI, which its module holds compressed.
func unpacked(name string) ([]byte, error) {
	packed, err := static.FS.Open(name + ".gz")
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	return io.ReadAll(r) //nolint:wrapcheck // wrapped by the caller
}

func (h *Handler) add(name string, data []byte) {
	kind := mime.TypeByExtension(path.Ext(name))
	sum := sha256.Sum256(data)
	h.files[name] = file{mime: kind, hash: `"` + hex.EncodeToString(sum[:16]) + `"`, data: data}
}

// Handles tells whether a path is the page's, or that of a file of it.
func (h *Handler) Handles(at string) bool { return strings.HasPrefix(at+"/", Path) }

// ServeHTTP answers with the page and its files.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	name, below := strings.CutPrefix(r.URL.Path, Path)
	f, ok := h.files[name]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
	case !below:
		http.Redirect(w, r, Path, http.StatusMovedPermanently)
	case !ok:
		http.NotFound(w, r)
	default:
		header.Set("Content-Type", f.mime)
		header.Set("Cache-Control", "no-cache") // a newer server has newer files
		header.Set("ETag", f.hash)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.data))
	}
}
