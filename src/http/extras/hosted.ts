import { RequestError } from "../../base/mod.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import { jsonAnswer } from "../wire/mod.ts";

/** What of Ollama's API stands for its vendor's hosted service (contract 1.1), of which there is none behind odist. */
const HOSTED_ENDPOINTS = [
  ["POST /api/me", "there are no accounts"],
  ["POST /api/signout", "there are no accounts"],
  ["DELETE /api/user/keys/:key", "there are no accounts"],
  ["POST /api/experimental/web_search", "there is no search of the web"],
  ["POST /api/experimental/web_fetch", "nothing is fetched from the web"],
] as const;

/** Says so in the API's own form, so that clients show it instead of a path that is not there. */
export function hostedFamily(): ApiFamily {
  return {
    name: "hosted",
    failureAnswer: nativeFailureAnswer,
    routes: routesFor("use", {
      ...Object.fromEntries(
        HOSTED_ENDPOINTS.map(([endpoint, why]) => [endpoint, () => refuse(why)]),
      ),
      "GET /api/experimental/model-recommendations": () => jsonAnswer({ recommendations: [] }),
    }),
  };
}

function refuse(why: string): never {
  const text = `ollama cloud is disabled: odist has no hosted service behind it, and ${why}`;
  throw new RequestError("unsupported_capability", text, { status: 501 });
}
