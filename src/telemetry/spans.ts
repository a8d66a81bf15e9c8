import { parseTraceparent } from "../base/mod.ts";

/** Where the runtime leaves its tracer when it was told to have one. */
const GLOBAL_API = Symbol.for("opentelemetry.js.api.1");
const TRACER_NAME = "odist";
/** Bit of a traceparent's flags: whoever began the trace has it recorded. */
const SAMPLED = 1;

type Api = typeof import("./open_telemetry.ts");
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Read once it is known that spans go anywhere: without it a node is ready 50 ms sooner. */
let api: Api | undefined;
if (GLOBAL_API in globalThis) {
  void import("./open_telemetry.ts").then((loaded) => api = loaded);
}

/** Something that takes time on behalf of a request. */
export interface Span {
  /** For what happens below it, on this node or another. Without a tracer, what the span itself is below. */
  readonly traceparent: string | undefined;
  /** Adds what is known by now. */
  note(attributes: Attributes): void;
  /** Something that happened at one moment. */
  tell(event: string, attributes: Attributes): void;
  /** Once; with `failure`, it came to nothing for this reason. */
  end(failure?: string): void;
}

/** Where a span belongs. */
export interface SpanPlace {
  /** The traceparent of what it is part of; undefined = nobody traces it. */
  readonly under: string | undefined;
  readonly attributes?: Attributes;
  /** Another node asked for it. Default false. */
  readonly isAsked?: boolean;
  /** What nobody traces begins a trace. Default false. */
  readonly begins?: boolean;
  /** How long ago it began. Default 0. Milliseconds. */
  readonly agoMs?: number;
}

/**
 * Begins a span with the tracer of this process, which sends it to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names. Does
 * nothing without one, or for what nobody traces. Spans end on the node on which they began; one that dies with its node is never
 * sent, so what another node is to be below of must have ended, or be of the node that asked.
 */
export function startSpan(name: string, place: SpanPlace): Span {
  const { under, isAsked = false, begins = false, agoMs = 0 } = place;
  const parent = parseTraceparent(api && under);
  if (api === undefined || (parent === undefined ? !begins : (parent.flags & SAMPLED) === 0)) {
    return under === undefined ? UNTRACED : { ...UNTRACED, traceparent: under };
  }
  const { trace, ROOT_CONTEXT, SpanKind, SpanStatusCode } = api;
  const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, {
    ...{ traceId: parent.traceId, spanId: parent.spanId, traceFlags: parent.flags },
    isRemote: isAsked,
  });
  const span = trace.getTracer(TRACER_NAME).startSpan(name, {
    kind: isAsked ? SpanKind.SERVER : SpanKind.INTERNAL,
    startTime: Date.now() - agoMs,
    attributes: { ...place.attributes },
  }, context);
  return {
    traceparent: traceparentOf(span.spanContext()),
    note: (attributes) => void span.setAttributes({ ...attributes }),
    tell: (event, attributes) => void span.addEvent(event, { ...attributes }),
    end: (failure) => {
      if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
      span.end();
    },
  };
}

function traceparentOf(
  { traceId, spanId, traceFlags }: {
    readonly traceId: string;
    readonly spanId: string;
    readonly traceFlags: number;
  },
): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

const UNTRACED: Span = { traceparent: undefined, note() {}, tell() {}, end() {} };
