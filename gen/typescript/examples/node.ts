// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Runs the example in Node.js, over gRPC. Where the server is and who calls come from the environment: see gen/README.md.
import { readFileSync } from "node:fs";

import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { createWatchDelete } from "./service.js";

const { FAIRLEAD_ADDRESS = "", FAIRLEAD_TOKEN = "", FAIRLEAD_CA = "", FAIRLEAD_NAMESPACE = "" } = process.env;
const baseUrl = `${FAIRLEAD_CA ? "https" : "http"}://${FAIRLEAD_ADDRESS}`;
const session = new Http2SessionManager(baseUrl, {}, FAIRLEAD_CA ? { ca: readFileSync(FAIRLEAD_CA) } : {});
try {
  const transport = createGrpcTransport({ baseUrl, sessionManager: session });
  await createWatchDelete(transport, FAIRLEAD_TOKEN, FAIRLEAD_NAMESPACE, "hello-typescript", console.log);
} finally {
  session.abort();
}
