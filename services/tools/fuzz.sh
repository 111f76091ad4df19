#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs every fuzz target for some time each, 10 s by default: fuzz.sh [TIME [TARGET]]. TARGET is a regular expression.
set -euo pipefail
cd "$(dirname "$0")/../.."
time=${1:-10s}
only=${2:-.}
failed=()
while IFS=: read -r file line; do
	target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$line")
	[[ $target =~ $only ]] || continue
	package=./$(dirname "$file")
	echo "== $package $target"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s "$package" | grep -v '^fuzz: elapsed' || failed+=("$package $target")
done < <(grep -rE '^func Fuzz[A-Za-z0-9_]+\(' services --include='*_test.go' | sort)
if [ ${#failed[@]} -gt 0 ]; then
	printf 'failed: %s\n' "${failed[@]}"
	exit 1
fi
