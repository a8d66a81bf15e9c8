/**
 * What is used of `prom-client`, file by file: its index also loads figures of the process and all of `@opentelemetry/api`,
 * which takes twice as long as the rest. Its files are CommonJS, of which a bundle's dynamic `import` sees the default export
 * alone; a static import sees it everywhere, so the file that is imported lazily is this one.
 */
import type * as promClient from "prom-client";
import CounterOfFile from "prom-client/lib/counter.js";
import GaugeOfFile from "prom-client/lib/gauge.js";
import HistogramOfFile from "prom-client/lib/histogram.js";
import RegistryOfFile from "prom-client/lib/registry.js";

export const Counter: typeof promClient.Counter = CounterOfFile;
export const Gauge: typeof promClient.Gauge = GaugeOfFile;
export const Histogram: typeof promClient.Histogram = HistogramOfFile;
export const Registry: typeof promClient.Registry = RegistryOfFile;

export const PROMETHEUS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
export const OPENMETRICS_CONTENT_TYPE = Registry.OPENMETRICS_CONTENT_TYPE;
