/**
 * `/openapi.json`: what every endpoint takes and answers, found out by having each read a body that writes down what it is
 * asked for, and answer of one of everything; `/docs` shows the same. There is no second list of fields. Start with
 * `probe.ts`.
 *
 * @module
 */
import type { HttpParts } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import type { ApiFamily } from "../routes.ts";
import { jsonAnswer } from "../wire/mod.ts";
import { docsPage, type ShownDocument } from "./docs_page.ts";
import { openApiDocument } from "./document.ts";
import { probeRoute, sampledParts, unreachedParts } from "./probe.ts";

/** `familiesOver` gives the same endpoints over other ports. */
export function openApiFamily(
  parts: HttpParts,
  familiesOver: (parts: HttpParts) => readonly ApiFamily[],
): ApiFamily {
  let document: Promise<ShownDocument> | undefined;
  const described = () => document ??= describe(parts, familiesOver);
  return {
    name: "openapi",
    failureAnswer: nativeFailureAnswer,
    routes: [{
      method: "GET",
      path: "/openapi.json",
      scope: "use",
      handle: async () => jsonAnswer(await described()),
    }, {
      method: "GET",
      path: "/docs",
      scope: "use",
      handle: async () => docsPage(await described()),
    }],
  };
}

async function describe(
  parts: HttpParts,
  familiesOver: (parts: HttpParts) => readonly ApiFamily[],
): Promise<ShownDocument> {
  const [unreached, samples] = [unreachedParts(parts), sampledParts(parts)];
  const sampledFamilies = familiesOver(samples);
  const described = [];
  for (const [place, family] of familiesOver(unreached).entries()) {
    for (const [index, route] of family.routes.entries()) {
      // A task, not a microtask: other requests come first.
      await new Promise((resolve) => setTimeout(resolve));
      const sampled = { parts: samples, route: sampledFamilies[place]?.routes[index] ?? route };
      const found = await probeRoute(unreached, { family, route, sampled });
      described.push({ family, route, found });
    }
  }
  return openApiDocument(described, parts.version);
}
