/**
 * Log lines, metrics and the watch over the event loop. Every metric is declared in `metric_table.ts`; nothing here
 * ever sees a prompt, an answer or a secret. Start with `metric_table.ts`.
 *
 * @module
 */
export { createLog, type LogOptions, LogRing, type LogRingParts } from "./log.ts";
export type { MetricRow } from "./metric_table.ts";
export { PromMetrics } from "./prom_metrics.ts";
export { traceLoad, traceRun } from "./run_spans.ts";
export { type Span, startSpan } from "./spans.ts";
export { watchStalls } from "./stall_watch.ts";
