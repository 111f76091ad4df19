// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/codec"
)

// stdinName is the file name that means standard input.
const stdinName = "-"

// files are the documents that a command is about.
type files struct {
	names     []string
	recursive bool
}

func (f *files) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&f.names, "filename", "f", nil, "file or folder with documents in YAML or JSON, or - for standard input")
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "look for files in the folders of a folder too")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json")
}

func (f *files) given() bool { return len(f.names) > 0 }

// document is one document, and where it comes from.
type document struct {
	apply.Document

	file string
}

// documents reads all files. Documents that name no namespace get that of the command; an error names every document at
// fault.
func (f *files) documents(o *options) ([]document, error) {
	paths, err := f.paths()
	if err != nil {
		return nil, err
	}
	parser := &apply.Applier{Kinds: o.kinds, Namespace: o.namespace}
	var docs []document
	var faults []error
	for _, path := range paths {
		data, err := readDocuments(path, o.streams.In)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.Parse(data)
		if err != nil {
			faults = append(faults, &locatedError{display(path), err})
			continue
		}
		for _, doc := range parsed {
			d := document{doc, display(path)}
			faults = append(faults, d.checkNamespace(o))
			d.Index = len(docs) + 1
			docs = append(docs, d)
		}
	}
	return docs, errors.Join(faults...)
}

func display(path string) string {
	if path == stdinName {
		return "standard input"
	}
	return path
}

// checkNamespace refuses a document that is of another namespace than the one that was asked for.
func (d *document) checkNamespace(o *options) error {
	if !o.namespaceGiven || d.Namespace == "" || d.Namespace == o.namespace {
		return nil
	}
	return &locatedError{d.file, fmt.Errorf("the namespace of %s %q is %q and not %q; leave --namespace out, or let it say the same",
		d.Kind, d.Name, d.Namespace, o.namespace)}
}

// paths are the files to read, those of folders sorted.
func (f *files) paths() ([]string, error) {
	var all []string
	for _, name := range f.names {
		if strings.Contains(name, "://") {
			return nil, fmt.Errorf("-f %s is a URL; fetch it first: curl -fsSL %s | fairlead … -f -", name, name)
		}
		if name == stdinName {
			if slices.Contains(all, stdinName) {
				return nil, errors.New("-f - is given twice; standard input can be read once")
			}
			all = append(all, name)
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("-f: the path %q cannot be read: %w", name, unwrapPath(err))
		}
		if !info.IsDir() {
			all = append(all, name)
			continue
		}
		found, err := f.inFolder(name)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (f *files) inFolder(folder string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != folder && !f.recursive:
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("-f: the folder %q cannot be read: %w", folder, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("-f: the folder %q has no file that ends with .yaml, .yml or .json; -R looks in its folders too", folder)
	}
	return found, nil
}

func readDocuments(path string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if path != stdinName {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("-f: the file %q cannot be read: %w", path, unwrapPath(err))
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, codec.DefaultMaxBytes+1)) // one more, so that the parser sees that it is too much
	if err != nil {
		return nil, fmt.Errorf("-f: %s cannot be read: %w", display(path), unwrapPath(err))
	}
	return data, nil
}

// unwrapPath drops the path from an error that is told with it.
func unwrapPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
