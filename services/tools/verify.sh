#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Checks that what is generated is up to date, that the protos stay compatible, and that each module named as an
# argument builds by itself, without go.work.
set -euo pipefail
cd "$(dirname "$0")/../.."

# state is what is in the work tree, tracked by git or not.
made=(gen proto services/internal/openapi)
state() { git ls-files --cached --others --exclude-standard -z -- "${made[@]}" | xargs -0 sha256sum 2>&1; }
before=$(state)
services/tools/generate.sh
after=$(state)
if [ "$before" != "$after" ]; then
	echo "generated code is out of date; run 'make gen' and commit what it changes:" >&2
	git --no-pager diff --stat -- "${made[@]}" >&2
	exit 1
fi
services/tools/breaking.sh

for module in "$@"; do
	(cd "$module" && GOWORK=off go build ./... && GOWORK=off go mod tidy -diff) || {
		echo "$module does not build by itself, or its go.mod is not tidy; run 'GOWORK=off go mod tidy' there" >&2
		exit 1
	}
done
echo "verify: ok"
