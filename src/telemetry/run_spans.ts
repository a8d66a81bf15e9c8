import { isEdgeError } from "../base/mod.ts";
import type { SequenceEvent } from "../protocol/mod.ts";
import { type Span, startSpan } from "./spans.ts";

/** The name of a span is what a request waits for; `docs/CLUSTER.md` lists them. */
const PREFILL = "odist.prefill";
const DECODE = "odist.decode";
const LOAD = "odist.load";

/** Whose run it is. */
export interface RunPlace {
  /** The traceparent that it is below; undefined = nobody traces it. */
  readonly under: string | undefined;
  /** The node that computes, by name. */
  readonly node: string | undefined;
}

/** The same events, of which the trace gets one span up to the first token, and one from there on. */
export function traceRun(
  events: AsyncIterable<SequenceEvent>,
  place: RunPlace,
): AsyncIterable<SequenceEvent> {
  return place.under === undefined ? events : traced(events, place);
}

/** Puts the load that a slot waited for into the trace, once it is over. */
export function traceLoad(loadNs: number, { under, node }: RunPlace): void {
  if (loadNs === 0) return;
  const agoMs = loadNs / 1e6;
  startSpan(LOAD, { under, agoMs, attributes: { "odist.node": node } }).end();
}

async function* traced(
  events: AsyncIterable<SequenceEvent>,
  { under, node }: RunPlace,
): AsyncGenerator<SequenceEvent> {
  const attributes = { "odist.node": node };
  let span = startSpan(PREFILL, { under, attributes });
  let tokens = 0;
  let failure: string | undefined = "left";
  try {
    for await (const event of events) {
      if (event.kind === "started") {
        const { promptTokens, cachedTokens } = event;
        span.note({
          "odist.prompt_tokens": promptTokens.length,
          "odist.cached_tokens": cachedTokens,
        });
      }
      if (event.kind === "tokens") {
        if (tokens === 0) span = nextSpan(span, startSpan(DECODE, { under, attributes }));
        tokens += event.tokens.length;
      }
      if (event.kind === "finished") {
        span.note({ "odist.tokens": tokens, "odist.finish": event.reason });
        failure = undefined;
      }
      yield event;
    }
  } catch (error) {
    failure = isEdgeError(error) ? error.code : "failed";
    throw error;
  } finally {
    span.end(failure);
  }
}

function nextSpan(ended: Span, begun: Span): Span {
  ended.end();
  return begun;
}
