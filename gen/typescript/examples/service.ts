// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

import { createClient, type Transport } from "@connectrpc/connect";

import { ServiceService } from "../fairlead/serving/v1/service_service_pb.js";

const timeoutMs = 10_000;

/** Creates, watches and deletes a Service, and says what it sees. The transport says how the server is reached. */
export async function createWatchDelete(
  transport: Transport,
  token: string,
  namespace: string,
  name: string,
  say: (line: string) => void,
): Promise<void> {
  const services = createClient(ServiceService, transport);
  const watching = new AbortController();
  const headers = { authorization: `Bearer ${token}` };
  const call = { headers, timeoutMs };
  // What is there already comes first, so it does not matter whether the watch or the object is there before the other.
  const events = services.watch(
    { namespace, fieldSelector: `metadata.name=${name}`, timeoutSeconds: 60n },
    { headers, signal: watching.signal },
  );
  await services.create(
    {
      object: {
        metadata: { name, namespace },
        spec: { template: { spec: { podSpec: { containers: [{ name: "app", image: "registry.example.com/hello:1" }] } } } },
      },
    },
    call,
  );
  for await (const event of events) {
    say(`${event.type} ${event.object?.metadata?.name}`);
    if (event.type === "ADDED") {
      await services.delete({ namespace, name }, call);
    } else if (event.type === "DELETED") {
      watching.abort();
      return;
    }
  }
  throw new Error("the watch ended before the Service did");
}
