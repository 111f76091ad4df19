// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Shows the OpenAPI document of an API group. The token goes to the documents of this server, and nowhere else.
"use strict";

const element = (id) => document.getElementById(id);

function tell(problem) {
  element("problem").textContent = problem;
  element("problem").hidden = problem === "";
}

// read answers with a document, or throws what the server says about why not.
async function read(url, headers) {
  const res = await fetch(url, { headers: { accept: "application/json", ...headers } });
  const body = await res.json().catch(() => ({}));
  if (!res.ok) {
    throw new Error(body.message ?? `${url} answers ${res.status}`);
  }
  return body;
}

async function list() {
  for (const group of await read("groups.json", {})) {
    element("group").append(new Option(group, group));
  }
  const wanted = decodeURIComponent(location.search.slice(1));
  if ([...element("group").options].some((o) => o.value === wanted)) {
    element("group").value = wanted;
  }
}

// arrange has operations stand by their kind, each with the first sentence of what it does.
function arrange(spec, group) {
  spec.info.title = group;
  for (const item of Object.values(spec.paths ?? {})) {
    for (const operation of Object.values(item)) {
      if (!Array.isArray(operation?.tags)) {
        continue; // parameters of the path
      }
      operation.tags = [operation["x-kubernetes-group-version-kind"]?.kind ?? "Other"];
      operation.summary ??= operation.description?.match(/^.*?\.(?=\s|$)/s)?.[0] ?? "";
      delete operation.security; // the token of this page goes with every request
    }
  }
  delete spec.security;
  delete spec.components?.securitySchemes;
  return spec;
}

async function show() {
  const group = element("group").value;
  const headers = { authorization: `Bearer ${element("token").value.trim()}` };
  tell("");
  const spec = arrange(await read(`/openapi/v3/apis/${group}`, headers), group);
  history.replaceState(null, "", `?${group}`);
  SwaggerUIBundle({
    spec,
    domNode: element("reference"),
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    filter: true,
    supportedSubmitMethods: ["get"], // to look is harmless, to write is for other tools
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (new URL(request.url, location.href).origin === location.origin) {
        Object.assign(request.headers, headers);
      }
      return request;
    },
    presets: [SwaggerUIBundle.presets.apis],
  });
}

element("choice").addEventListener("submit", (event) => {
  event.preventDefault();
  show().catch((err) => tell(err.message));
});
element("group").addEventListener("change", () => {
  if (element("token").value !== "") {
    show().catch((err) => tell(err.message));
  }
});
list().catch((err) => tell(err.message));
