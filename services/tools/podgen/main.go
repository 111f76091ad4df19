// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Command podgen writes the proto messages of Kubernetes' pods from Kubernetes' Go types.
//
// Field numbers come from the types' protobuf tags, and the lock file remembers every number ever given: a field keeps
// its number, and a number is never given twice.
package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"

	corev1 "k8s.io/api/core/v1"
)

func main() {
	out := flag.String("out", "", "the proto file to write")
	lock := flag.String("lock", "", "the lock file to obey and to extend")
	flag.Parse()
	if err := run(*out, *lock); err != nil {
		fmt.Fprintln(os.Stderr, "podgen:", err)
		os.Exit(1)
	}
}

// roots are the types whose parts are generated too.
func roots() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[corev1.PodSpec](),
		reflect.TypeFor[corev1.Container](),
		reflect.TypeFor[corev1.Volume](),
		reflect.TypeFor[corev1.Affinity](),
		reflect.TypeFor[corev1.ContainerState](),
	}
}

func run(outPath, lockPath string) error {
	found, err := readMarkers(reflect.TypeFor[corev1.PodSpec]().PkgPath())
	if err != nil {
		return err
	}
	messages, err := collect(roots(), found)
	if err != nil {
		return err
	}
	numbers, err := readLock(lockPath)
	if err != nil {
		return err
	}
	if err := numbers.admit(messages); err != nil {
		return fmt.Errorf("%s: %w", lockPath, err)
	}
	if err := writeIfChanged(outPath, render(messages, numbers)); err != nil {
		return err
	}
	return writeIfChanged(lockPath, numbers.format())
}

// writeIfChanged leaves a file alone that already says what it should.
func writeIfChanged(path string, content []byte) error {
	old, err := os.ReadFile(path)
	if err == nil && string(old) == string(content) {
		return nil
	}
	return os.WriteFile(path, content, 0o644)
}
