import type { RouteExplanation } from "../ports/mod.ts";
import { type HttpParts, NODE_HEADER } from "./exchange.ts";
import { apiFamilies } from "./families.ts";
import { nativeFailureAnswer } from "./ollama.ts";
import { Resuming } from "./resuming/mod.ts";
import { Router } from "./routes.ts";
import { RunningRequests } from "./running_requests.ts";
import { Guard, type GuardRefusal, OWN_SENDER, type Sender } from "./trust/mod.ts";

/** Header under which every answer carries its id, so that a log line and a complaint can be matched. */
const REQUEST_ID_HEADER = "x-request-id";
/** What is taken over from a caller's own header; anything else gets an id of ours. */
const REQUEST_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;

/** The node's HTTP face. Opens no socket: whoever listens hands requests in. */
export interface HttpApp {
  /**
   * Answers one request; never rejects. `gone` tells, like the request's own signal, that the client has left. Without a
   * `sender` it comes from this machine.
   */
  fetch(
    request: Request,
    connection?: {
      readonly gone?: AbortSignal;
      readonly sender?: Sender;
      readonly body?: AsyncIterable<Uint8Array>;
    },
  ): Promise<Response>;
  /** Requests for models and answers that are not over; those about the cluster don't count. */
  openRequests(): number;
  /** From now on inference is refused with 503 and `/ready` says so; running answers go on. */
  stopAdmitting(): void;
}

/** Tells whose machine had to wake for an answer, how long that took, and how many waited for it before. */
const WAKE_HEADER = "x-odist-wake";

/** `name; took=12.3; position=1`, seconds. */
function wakeText({ chosen, wake }: RouteExplanation): string {
  const took = wake?.tookMs === undefined ? "" : `; took=${(wake.tookMs / 1_000).toFixed(1)}`;
  const name = (chosen?.name ?? "").replaceAll(/[^a-zA-Z0-9._-]/g, "");
  return `${name}${took}; position=${wake?.position ?? 1}`;
}

/** Builds the app over a cluster client. */
export function createHttpApp(parts: HttpParts): HttpApp {
  let open = true;
  const admitting = () => open;
  const guard = new Guard(parts.config);
  const running = new RunningRequests();
  const resuming = new Resuming(parts);
  const router = new Router(parts, apiFamilies(parts, { admitting, running }), {
    admitting,
    running,
    resuming,
    failureAnswer: nativeFailureAnswer,
  });

  resuming.attend(async (request, again) =>
    await router.answer(request, {
      requestId: again.head.id,
      // Who comes back for it leaves it by himself.
      gone: new AbortController().signal,
      body: ReadableStream.from([again.head.body]),
      // It was let in when it asked first, and is nobody's on this machine.
      caller: { kind: "afar", address: again.head.from, network: "public", isPage: false },
      again,
    })
  );

  return {
    async fetch(request, connection) {
      const requestId = requestIdOf(request);
      const verdict = guard.check(request, connection?.sender ?? OWN_SENDER);
      const response = verdict.kind === "answered"
        ? verdict.response
        : await router.answer(request, {
          requestId,
          gone: connection?.gone ?? request.signal,
          body: connection?.body ?? request.body ?? undefined,
          caller: verdict.caller,
        });
      if (verdict.kind === "answered" && verdict.refusal !== undefined) {
        noteRefusal(parts, verdict.refusal);
      }
      // Only a preflight is answered without being refused; it names what its path takes.
      const allow = verdict.kind === "answered" && verdict.refusal === undefined
        ? router.methodsOf(new URL(request.url).pathname)
        : undefined;
      if (allow !== undefined) response.headers.set("allow", allow);
      for (const [name, value] of Object.entries(verdict.headers)) {
        response.headers.set(name, value);
      }
      response.headers.set(REQUEST_ID_HEADER, requestId);
      if (!response.headers.has(NODE_HEADER)) {
        response.headers.set(NODE_HEADER, parts.config.nodeName);
      } else {
        const wake = parts.admin?.explain(requestId).findLast((route) => route.wake !== undefined);
        if (wake !== undefined) response.headers.set(WAKE_HEADER, wakeText(wake));
      }
      return response;
    },
    openRequests: () => running.count,
    stopAdmitting() {
      open = false;
    },
  };
}

/** Counted under one label each; what strangers sent goes into no line of the log. */
function noteRefusal({ metrics, log }: HttpParts, why: GuardRefusal): void {
  metrics.increment("odist_http_refused_total", { why });
  log.log("debug", "request_refused", { why });
}

function requestIdOf(request: Request): string {
  const given = request.headers.get(REQUEST_ID_HEADER);
  return given !== null && REQUEST_ID_PATTERN.test(given) ? given : crypto.randomUUID();
}
