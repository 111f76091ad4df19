#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Installs the Debian packages that building and the quickstart need, where they are missing; with `development` as its
# argument also those of `make gen` and of the tests. What the local Kubernetes needs, `devcluster up` installs by itself.
set -euo pipefail

packages=(git make curl ca-certificates)
if [ "${1:-}" = development ]; then
	# The compiler of the Python client fits Debian's python3-grpcio; Chromium shows the pages that tests look at, and
	# ssh is used by git in tests of credentials.
	packages+=(protobuf-compiler protobuf-compiler-grpc python3-grpcio python3-protobuf chromium openssh-client)
	command -v node >/dev/null || packages+=(nodejs npm) # Node.js 20 or newer from elsewhere will do as well
fi
missing=()
for package in "${packages[@]}"; do
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
install="apt-get update && apt-get install --yes ${missing[*]}"
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "packages are missing; as root, run: $install" >&2
	exit 1
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
