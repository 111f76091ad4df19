// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
)

// The entries of a Secret that holds keys.
const (
	// currentEntry holds the id of the key that encrypts.
	currentEntry = "current"
	// keySuffix ends the names of entries that hold keys: `ID.key`.
	keySuffix = ".key"
)

// Source is where keys come from.
type Source func() (current string, keys map[string][]byte, err error)

// Load makes Keys from a source.
func Load(from Source) (*Keys, error) {
	current, keys, err := from()
	if err != nil {
		return nil, err
	}
	return New(current, keys)
}

// Reload puts the keys that a source has now in place.
func (k *Keys) Reload(from Source) error {
	current, keys, err := from()
	if err != nil {
		return err
	}
	return k.Replace(current, keys)
}

// Secret reads the data of a Kubernetes Secret: `current` holds the id of the key that encrypts, and `ID.key` each key, as 32
// bytes or as base64 of them. Other entries mean nothing. To rotate, add a key, make it current once every process has it, wait
// until all is rewritten (Store.Reencrypt, of which processes log the end), and only then take the old one out.
func Secret(data map[string][]byte) Source {
	return func() (string, map[string][]byte, error) {
		keys := map[string][]byte{}
		for name, value := range data {
			id, ok := strings.CutSuffix(name, keySuffix)
			if !ok {
				continue
			}
			key, err := decodeKey(value)
			if err != nil {
				return "", nil, fmt.Errorf("entry %s of the secret of encryption keys: %w", name, err)
			}
			keys[id] = key
		}
		current := strings.TrimSpace(string(data[currentEntry]))
		if current == "" {
			return "", nil, fmt.Errorf("the secret of encryption keys has no entry %s: it holds the id of the key that encrypts", currentEntry)
		}
		return current, keys, nil
	}
}

// File reads a file of keys: in each line an id and the base64 of a key of 32 bytes, with a space between. The first is the one
// that encrypts. Empty lines and those that start with # mean nothing.
func File(path string) Source {
	return func() (string, map[string][]byte, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", nil, fmt.Errorf("read the encryption keys: %w", err)
		}
		defer clear(text)
		current, keys := "", map[string][]byte{}
		for i, line := range bytes.Split(text, []byte("\n")) {
			fields := bytes.Fields(line)
			if len(fields) == 0 || fields[0][0] == '#' {
				continue
			}
			if len(fields) != 2 {
				return "", nil, fmt.Errorf("line %d of %s: want an id and the base64 of a key", i+1, path)
			}
			id := string(fields[0])
			if keys[id] != nil {
				return "", nil, fmt.Errorf("line %d of %s: its id is there already", i+1, path)
			}
			if keys[id], err = decodeKey(fields[1]); err != nil {
				return "", nil, fmt.Errorf("line %d of %s: %w", i+1, path, err)
			}
			if current == "" {
				current = id
			}
		}
		if current == "" {
			return "", nil, fmt.Errorf("%s holds no encryption keys: put `1 KEY` there, with KEY from `head -c 32 /dev/urandom | base64`", path)
		}
		return current, keys, nil
	}
}

// decodeKey reads a key: 32 bytes, or base64 of them. Its errors tell nothing of what it was given.
func decodeKey(value []byte) ([]byte, error) {
	if len(value) == keySize {
		return bytes.Clone(value), nil
	}
	value = bytes.TrimSpace(value)
	key := make([]byte, base64.StdEncoding.DecodedLen(len(value)))
	n, err := base64.StdEncoding.Decode(key, value)
	if err != nil || n != keySize {
		return nil, errors.New("it is neither 32 bytes nor base64 of them")
	}
	return key[:n], nil
}
