/** What is used of `@opentelemetry/api`, named one by one: see `prom_client.ts`. */
export { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
