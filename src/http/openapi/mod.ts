/**
 * `/openapi.json`: what every endpoint takes, found out by having each read a body that writes down what it is asked for.
 * There is no second list of fields. Start with `probe.ts`.
 *
 * @module
 */
import type { HttpParts } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import type { ApiFamily } from "../routes.ts";
import { jsonAnswer } from "../wire/mod.ts";
import { openApiDocument } from "./document.ts";
import { probeBody, unreachedParts } from "./probe.ts";

/** `familiesOver` gives the same endpoints over other ports. */
export function openApiFamily(
  parts: HttpParts,
  familiesOver: (parts: HttpParts) => readonly ApiFamily[],
): ApiFamily {
  let document: Promise<unknown> | undefined;
  return {
    name: "openapi",
    failureAnswer: nativeFailureAnswer,
    routes: [{
      method: "GET",
      path: "/openapi.json",
      scope: "use",
      handle: async () => jsonAnswer(await (document ??= describe(parts, familiesOver))),
    }],
  };
}

async function describe(
  parts: HttpParts,
  familiesOver: (parts: HttpParts) => readonly ApiFamily[],
): Promise<unknown> {
  const unreached = unreachedParts(parts);
  const described = [];
  for (const family of familiesOver(unreached)) {
    // A task, not a microtask: other requests come first.
    await new Promise((resolve) => setTimeout(resolve));
    for (const route of family.routes) {
      described.push({ family, route, body: await probeBody(unreached, family, route) });
    }
  }
  return openApiDocument(described, parts.version);
}
