#!/bin/sh
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds what a local cluster needs into a folder, by default .fairlead/bin of
# the repository. Does nothing when no source and no tool has changed.
#
#	build.sh [OUTDIR]
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "${1:-$here/../../.fairlead/bin}"
out=$(CDPATH='' cd -- "${1:-$here/../../.fairlead/bin}" && pwd)

cd "$here"
export GOWORK=off

sum=$({
	go version
	go env GOOS GOARCH GOFLAGS CGO_ENABLED
	find . -type f ! -name '*.md' ! -name '*_test.go' | LC_ALL=C sort | xargs sha256sum
} | sha256sum | cut -d' ' -f1)
stamp=$out/.devcluster.sha256
if [ -x "$out/devcluster" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
	exit 0
fi

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
pkg=k8s.io/component-base/version
partial=$out/devcluster.$$
trap 'rm -f "$partial"' EXIT
go build -o "$partial" -ldflags "-s -w \
	-X $pkg.gitVersion=$version -X $pkg.gitMajor=1 -X $pkg.gitMinor=${minor%%.*} \
	-X $pkg.gitTreeState=clean -X $pkg.gitCommit=$version" .
# A rename, so that a running cluster keeps the file it was started from.
mv "$partial" "$out/devcluster"
# The binary is kubectl as well, when it is called so.
ln -sf devcluster "$out/kubectl"
printf '%s\n' "$sum" >"$stamp"
