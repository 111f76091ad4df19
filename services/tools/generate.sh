#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Makes everything that is generated from proto/: the pod types, the services of kinds, gen/go with the lists of kinds and REST handlers, and the
# descriptors from which OpenAPI documents are made. Files that come out as
# they were keep their time stamps, so that Go rebuilds only what changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
export GOWORK=off
bin=.fairlead/bin
mkdir -p "$bin"

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

# Bring gen/go to what was made, touching only what differs.
list() { (cd "$1" && find . -type f | LC_ALL=C sort); }
mkdir -p gen/go
list "$out/gen/go" | while read -r file; do
  if ! cmp -s "$out/gen/go/$file" "gen/go/$file"; then
    mkdir -p "gen/go/$(dirname "$file")"
    cp "$out/gen/go/$file" "gen/go/$file.new"
    mv "gen/go/$file.new" "gen/go/$file"
  fi
done
comm -13 <(list "$out/gen/go") <(list gen/go) | while read -r file; do
  rm "gen/go/$file"
done
find gen/go -type d -empty -delete
services/internal/openapi/generate.sh
