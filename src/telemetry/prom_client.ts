/**
 * What is used of `prom-client`, named one by one: it is a CommonJS package, of which a bundle's dynamic `import` sees the
 * default export alone. A static import sees the names everywhere, so the file that is imported lazily is this one.
 */
export { Counter, Gauge, Histogram, Registry } from "prom-client";
import { openMetricsContentType, prometheusContentType } from "prom-client";

export const PROMETHEUS_CONTENT_TYPE = prometheusContentType;
export const OPENMETRICS_CONTENT_TYPE = openMetricsContentType;
