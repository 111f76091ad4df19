#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Installs what gen/typescript/package-lock.json names, where it is not there yet: the compiler of the TypeScript client,
# and what its examples and tests need.
set -euo pipefail
cd "$(dirname "$0")/../../gen/typescript"

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "node and npm are missing; install Node.js 20 or newer" >&2
	exit 1
fi
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
	echo "Node.js $(node -p process.versions.node) is too old; install 20 or newer" >&2
	exit 1
fi
cmp -s package-lock.json node_modules/.installed || {
	npm ci --no-progress
	cp package-lock.json node_modules/.installed
}
