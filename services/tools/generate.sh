#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Makes everything that is generated from proto/: the pod types, the services of kinds, gen/go with the lists of kinds and
# REST handlers, the clients in gen/python and gen/typescript, and the descriptors from which OpenAPI documents are made.
# Files that come out as they were keep their time stamps, so that Go rebuilds only what changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
export GOWORK=off
bin=.fairlead/bin
mkdir -p "$bin"

for tool in protoc grpc_python_plugin; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing; run 'deploy/packages.sh development'" >&2
		exit 1
	}
done
services/tools/npm.sh

go build -C services/tools -o "../../$bin/" ./podgen ./kindgen \
  github.com/bufbuild/buf/cmd/buf \
  google.golang.org/protobuf/cmd/protoc-gen-go \
  google.golang.org/grpc/cmd/protoc-gen-go-grpc \
  github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway

out=$(mktemp -d .fairlead/gen.XXXXXX)
trap 'rm -rf "$out"' EXIT

# podgen reads Kubernetes' source from the module cache, so it runs where go.mod names its version.
(cd services/tools && "../../$bin/podgen" -out ../../proto/fairlead/core/v1/core.proto -lock ../../proto/fairlead/core/v1/core.lock)
"$bin/kindgen" -proto proto -go "$out/gen/go/kinds" -rest "$out/gen/go/rest"
"$bin/buf" generate -o "$out"

# bring has a folder be what was made, touching only what differs.
list() { (cd "$1" && find . -type f | LC_ALL=C sort); }
bring() {
	local made=$1 to=$2
	mkdir -p "$to"
	list "$made" | while read -r file; do
		if ! cmp -s "$made/$file" "$to/$file"; then
			mkdir -p "$to/$(dirname "$file")"
			cp "$made/$file" "$to/$file.new"
			mv "$to/$file.new" "$to/$file"
		fi
	done
	comm -13 <(list "$made") <(list "$to") | while read -r file; do
		rm "$to/$file"
	done
	find "$to" -type d -empty -delete
}
for language in go python typescript; do
	for made in "$out/gen/$language"/*/; do # beside them are examples and the like
		bring "$made" "gen/$language/$(basename "$made")"
	done
done
services/internal/openapi/generate.sh
