// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// The script of index.html, which runs the example in a browser. The front door takes both protocols.
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

import { createWatchDelete } from "./service.js";

const field = (name: string) => (document.getElementById(name) as HTMLInputElement).value;
const events = document.getElementById("events") as HTMLOListElement;
const say = (line: string) => events.appendChild(document.createElement("li")).append(line);

document.querySelector("form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  events.replaceChildren();
  const make = field("protocol") === "grpc-web" ? createGrpcWebTransport : createConnectTransport;
  const transport = make({ baseUrl: field("address") });
  try {
    await createWatchDelete(transport, field("token"), field("namespace"), "hello-browser", say);
    say("done");
  } catch (err) {
    say(String(err));
  }
});
