#!/usr/bin/env bash
# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

# Makes descriptors.binpb from proto/: our protos with their comments, which generated Go code leaves out.
# services/tools/generate.sh builds buf.
set -euo pipefail
cd "$(dirname "$0")/../../.."
.fairlead/bin/buf build --path proto/fairlead --exclude-imports --as-file-descriptor-set \
	-o services/internal/openapi/descriptors.binpb
