import { clusterFamily } from "./cluster.ts";
import { type HttpParts, NODE_HEADER } from "./exchange.ts";
import { Guard } from "./guard.ts";
import { ollamaFamily } from "./ollama.ts";
import { ollamaModelsFamily } from "./ollama_models.ts";
import { openAiFamily } from "./openai.ts";
import { operationsFamily } from "./operations.ts";
import { Router } from "./routes.ts";

/** Header under which every answer carries its id, so that a log line and a complaint can be matched. */
const REQUEST_ID_HEADER = "x-request-id";
/** What is taken over from a caller's own header; anything else gets an id of ours. */
const REQUEST_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;

/** The node's HTTP face. Opens no socket: whoever listens hands requests in. */
export interface HttpApp {
  /**
   * Answers one request; never rejects. `gone` tells, like the request's own signal, that the client has left; `fromAfar`
   * that it is on another machine, and has not shown a key yet.
   */
  fetch(
    request: Request,
    connection?: { readonly gone: AbortSignal; readonly fromAfar?: boolean },
  ): Promise<Response>;
  /** From now on inference is refused with 503 and `/ready` says so; running answers go on. */
  stopAdmitting(): void;
}

/** Builds the app over a cluster client. */
export function createHttpApp(parts: HttpParts): HttpApp {
  let open = true;
  const admitting = () => open;
  const guard = new Guard(parts.config);
  const router = new Router(parts, [
    operationsFamily(parts, admitting),
    ollamaFamily(parts),
    ollamaModelsFamily(parts),
    openAiFamily(parts),
    ...(parts.admin === undefined ? [] : [clusterFamily(parts.admin)]),
  ], admitting);

  return {
    async fetch(request, connection) {
      const requestId = requestIdOf(request);
      const { refusal, headers } = guard.check(request);
      const response = refusal ??
        await router.answer(request, {
          requestId,
          gone: connection?.gone,
          fromAfar: connection?.fromAfar === true,
        });
      for (const [name, value] of Object.entries(headers ?? {})) response.headers.set(name, value);
      response.headers.set(REQUEST_ID_HEADER, requestId);
      if (!response.headers.has(NODE_HEADER)) {
        response.headers.set(NODE_HEADER, parts.config.nodeName);
      }
      return response;
    },
    stopAdmitting() {
      open = false;
    },
  };
}

function requestIdOf(request: Request): string {
  const given = request.headers.get(REQUEST_ID_HEADER);
  return given !== null && REQUEST_ID_PATTERN.test(given) ? given : crypto.randomUUID();
}
