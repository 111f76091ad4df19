#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Checks that the protos of the working tree understand what earlier ones wrote (WIRE_JSON, see buf.yaml). Compared with,
# in this order: the commit given as an argument; where the branch left origin/main; HEAD, when the protos differ from it;
# the commit before HEAD. Without earlier protos there is nothing to break.
set -euo pipefail
cd "$(dirname "$0")/../.."

commit() { git rev-parse --verify --quiet "$1^{commit}"; }

if [ $# -gt 0 ]; then
  base=$(commit "$1") || { echo "breaking: no commit $1" >&2; exit 2; }
elif base=$(git merge-base HEAD origin/main 2>/dev/null) && [ "$base" != "$(commit HEAD)" ]; then
  :
elif [ -n "$(git status --porcelain -- proto)" ]; then
  base=$(commit HEAD) || base=
else
  base=$(commit HEAD~) || base=
fi

if [ -z "$base" ] || ! git cat-file -e "$base:buf.yaml" 2>/dev/null || ! git cat-file -e "$base:proto" 2>/dev/null; then
  echo "breaking: no earlier protos to compare with"
  exit 0
fi

bin=.fairlead/bin
mkdir -p "$bin"
GOWORK=off go build -C services/tools -o "../../$bin/" github.com/bufbuild/buf/cmd/buf

old=$(mktemp -d .fairlead/breaking.XXXXXX)
trap 'rm -rf "$old"' EXIT
git archive "$base" buf.yaml proto | tar -x -C "$old"
"$bin/buf" breaking --against "$old"
echo "breaking: compatible with ${base:0:12}"
