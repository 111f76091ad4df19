#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Lints protos and Go, checks the types of the TypeScript examples, and looks for known vulnerabilities where the database of them can be reached.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
bin=$root/.fairlead/bin
mkdir -p "$bin"

GOWORK=off go build -C services/tools -o "$bin/" github.com/bufbuild/buf/cmd/buf
"$bin/buf" lint
services/tools/npm.sh
npm --prefix gen/typescript run --silent check
unformatted=$(gofmt -l services deploy)
if [ -n "$unformatted" ]; then
	printf "run 'gofmt -w' on these files:\n%s\n" "$unformatted" >&2
	exit 1
fi

(cd services/tools/lint && GOWORK=off go build -o "$bin/golangci-lint" github.com/golangci/golangci-lint/v2/cmd/golangci-lint &&
	GOWORK=off go build -o "$bin/govulncheck" golang.org/x/vuln/cmd/govulncheck)
modules=(services/internal services/auth services/build services/serving services/eventing services/gateway services/fairlead services/e2e)
for module in "${modules[@]}" services/tools deploy/devcluster; do
	case $module in services/tools | deploy/devcluster) export GOWORK=off ;; esac # they are outside go.work
	(cd "$module" && "$bin/golangci-lint" run --config "$root/.golangci.yaml" ./...)
done

unset GOWORK

# A firewall may keep the database out of reach; a finding must fail, an unreachable database must not.
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for module in "${modules[@]}"; do
	if ! (cd "$module" && "$bin/govulncheck" ./... >"$out" 2>&1); then
		if grep -q 'fetching vulnerabilities' "$out"; then
			echo "lint: the vulnerability database cannot be reached; set GOVULNDB to a copy of it to check"
			break
		fi
		cat "$out" >&2
		exit 1
	fi
done
echo "lint: ok"
