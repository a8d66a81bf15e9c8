/**
 * `/ui`: the page on which people see and use a cluster. Its files are made of `src/ui` by `deno task ui` and say nothing of
 * a cluster, so that everyone gets them; what the page shows, it asks of the public API.
 *
 * @module
 */
import type { HttpParts } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import type { PageFileName } from "../../ports/mod.ts";
import { type ApiFamily, routesFor } from "../routes.ts";

const CONTENT_TYPES: Readonly<Record<PageFileName, string>> = {
  "index.html": "text/html; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
  "page.css": "text/css; charset=utf-8",
  "replayer.js": "text/javascript; charset=utf-8",
};

/** Other nodes at most that the page may go on with. */
const MEMBERS_MAX = 64;
/** Where the document names the nodes that its policy allows. */
const NODES_PLACE = `<meta name="odist-nodes" content="">`;

/** The page's files, and no more. */
export function pageFamily(parts: HttpParts): ApiFamily {
  const file = (name: PageFileName) => () => fileAnswer(parts, name);
  return {
    name: "page",
    failureAnswer: nativeFailureAnswer,
    routes: routesFor("open", {
      "GET /ui": file("index.html"),
      "GET /ui/page.js": file("page.js"),
      "GET /ui/page.css": file("page.css"),
      "GET /ui/replayer.js": file("replayer.js"),
    }),
  };
}

async function fileAnswer(parts: HttpParts, name: PageFileName): Promise<Response> {
  const bytes = await parts.page?.read(name);
  if (bytes === undefined) {
    const text = "The page is not built. Where odist runs from its sources: deno task ui\n";
    return new Response(text, { status: 503, headers: { "content-type": "text/plain" } });
  }
  const origins = await memberOrigins(parts);
  return new Response(name === "index.html" ? naming(origins, bytes) : bytes, {
    headers: {
      "content-type": CONTENT_TYPES[name],
      "content-security-policy": policy(origins),
      "referrer-policy": "no-referrer",
      "permissions-policy": "camera=(), geolocation=(), microphone=()",
    },
  });
}

/** A document's policy is that of when it was served: the page has to know which nodes it allows. */
function naming(origins: readonly string[], bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(
    NODES_PLACE,
    () => NODES_PLACE.replace(`""`, `"${origins.join(" ")}"`),
  );
}

/** Scripts and styles of this node alone; no other host is asked but the cluster's own nodes, for when this one dies. */
function policy(origins: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "worker-src 'self'",
    "img-src 'self' data: blob:",
    `connect-src ${["'self'", ...origins].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

async function memberOrigins({ admin }: HttpParts): Promise<readonly string[]> {
  const members = (await admin?.status())?.members ?? [];
  const origins = members.flatMap(({ api }) => api === undefined ? [] : [api]);
  return origins.slice(0, MEMBERS_MAX);
}
