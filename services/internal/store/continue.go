// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"fairlead.dev/services/internal/apierror"
)

const (
	// tokenVersion is the first byte of every continue token.
	tokenVersion = 1
	// tokenSum is how many bytes of checksum a token has.
	tokenSum = 8
	// maxToken is the longest token, decoded.
	maxToken = 1 + tokenSum + binary.MaxVarintLen64 + 2*maxSegment + 1
)

// continuation is where a list goes on. Its token names no etcd key: the key is built below the prefix of the list that the
// caller may read, so that a forged token leads nowhere else. The checksum refuses a token of another list.
type continuation struct {
	// revision at which all pages are read.
	revision int64
	// after is the last object of the page before, relative to the list's prefix.
	after string
}

// token encodes c for the list with the prefix and the filter.
func (c continuation) token(prefix string, f filter) string {
	b := append([]byte{tokenVersion}, c.sum(prefix, f)...)
	b = binary.AppendUvarint(b, uint64(c.revision))
	b = append(b, c.after...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseToken is the reverse of token, for the same list.
func parseToken(token, prefix string, f filter) (continuation, error) {
	bad := apierror.BadRequest("the continue token is not one of this list; start again without it")
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= 1+tokenSum || len(b) > maxToken || b[0] != tokenVersion {
		return continuation{}, bad
	}
	sum, rest := b[1:1+tokenSum], b[1+tokenSum:]
	revision, n := binary.Uvarint(rest)
	if n <= 0 || revision == 0 || revision > 1<<62 {
		return continuation{}, bad
	}
	c := continuation{revision: int64(revision), after: string(rest[n:])}
	if !bytes.Equal(sum, c.sum(prefix, f)) {
		return continuation{}, bad
	}
	parts := strings.Split(c.after, "/")
	if len(parts) > 2 {
		return continuation{}, bad
	}
	for _, p := range parts {
		if checkSegment("name", p) != nil {
			return continuation{}, bad
		}
	}
	return c, nil
}

func (c continuation) sum(prefix string, f filter) []byte {
	h := sha256.New()
	var revision [8]byte
	binary.BigEndian.PutUint64(revision[:], uint64(c.revision))
	h.Write(revision[:])
	h.Write([]byte(strings.Join([]string{prefix, f.String(), c.after}, "\x00")))
	return h.Sum(nil)[:tokenSum]
}
