import type { Counter, Gauge, Histogram, Registry, RegistryContentType } from "prom-client";
import { assert } from "../base/mod.ts";
import type { Clock, MetricExample, MetricFormat, MetricLabels, Metrics } from "../ports/mod.ts";
import { METRIC_TABLE, type MetricRow } from "./metric_table.ts";

/** How long after the first sample the library is loaded: it costs 100 ms, which the first requests must not pay. */
const LOAD_DELAY_MS = 2000;
/** Samples kept until the library is loaded; later ones are dropped. */
const PENDING_SAMPLES_MAX = 10_000;

type Operation = "increment" | "set" | "observe";
const OPERATION_KIND = { increment: "counter", set: "gauge", observe: "histogram" } as const;

interface Sample {
  readonly operation: Operation;
  readonly name: string;
  readonly labels: MetricLabels;
  readonly value: number;
  readonly example?: MetricExample | undefined;
}

type AnyRegistry = Registry<RegistryContentType>;
type Instrument = Counter | Gauge | Histogram;

/** Metrics over `prom-client`, which is loaded a while after start-up, or when somebody asks for the metrics. */
export class PromMetrics implements Metrics {
  readonly #clock: Clock;
  readonly #version: string;
  readonly #startedMs: number;
  readonly #pending: Sample[] = [];
  readonly #instruments = new Map<string, Instrument>();
  #registry: AnyRegistry | undefined;
  /** The last one: they take turns. */
  #rendering: Promise<void> = Promise.resolve();
  #loading: Promise<AnyRegistry> | undefined;

  /** `version` of the program, for the `odist_build` gauge. */
  constructor(parts: { readonly clock: Clock; readonly version: string }) {
    this.#clock = parts.clock;
    this.#version = parts.version;
    this.#startedMs = parts.clock.monotonicMs();
  }

  increment(name: string, labels: MetricLabels = {}, by = 1): void {
    this.#record({ operation: "increment", name, labels, value: by });
  }

  set(name: string, value: number, labels: MetricLabels = {}): void {
    this.#record({ operation: "set", name, labels, value });
  }

  observe(
    name: string,
    value: number,
    labels: MetricLabels = {},
    example?: MetricExample,
  ): void {
    this.#record({ operation: "observe", name, labels, value, example });
  }

  async render(
    format: MetricFormat = "prometheus",
  ): Promise<{ readonly contentType: string; readonly text: string }> {
    const registry = await this.#load();
    const { rss, heapUsed } = Deno.memoryUsage();
    this.set("odist_build", 1, { version: this.#version });
    this.set("odist_clock_timestamp_seconds", this.#clock.nowMs() / 1000);
    this.set("odist_process_resident_bytes", rss);
    this.set("odist_process_heap_bytes", heapUsed);
    const uptimeMs = this.#clock.monotonicMs() - this.#startedMs;
    this.set("odist_process_uptime_seconds", uptimeMs / 1000);
    // The library has one format at a time, and OpenMetrics takes the ends off its counters' names.
    const rendered = this.#rendering.then(() => this.#renderAs(format, registry));
    this.#rendering = rendered.then(() => {}, () => {});
    return await rendered;
  }

  async #renderAs(
    format: MetricFormat,
    registry: AnyRegistry,
  ): Promise<{ readonly contentType: string; readonly text: string }> {
    const { OPENMETRICS_CONTENT_TYPE, PROMETHEUS_CONTENT_TYPE } = await import("./prom_client.ts");
    const contentType = format === "openmetrics"
      ? OPENMETRICS_CONTENT_TYPE
      : PROMETHEUS_CONTENT_TYPE;
    registry.setContentType(contentType);
    try {
      return { contentType, text: await registry.metrics() };
    } finally {
      for (const [name, instrument] of this.#instruments) Object.assign(instrument, { name });
    }
  }

  #record(sample: Sample): void {
    const row = METRIC_TABLE[sample.name];
    assert(row?.kind === OPERATION_KIND[sample.operation], "Metric is not declared so", {
      name: sample.name,
      operation: sample.operation,
    });
    if (this.#registry !== undefined) return this.#apply(sample);
    if (this.#pending.length === 0) this.#clock.after(LOAD_DELAY_MS, () => void this.#load());
    if (this.#pending.length < PENDING_SAMPLES_MAX) this.#pending.push(sample);
  }

  #load(): Promise<AnyRegistry> {
    this.#loading ??= import("./prom_client.ts").then((library) => {
      // Examples may only be kept for this format; which one is rendered is chosen each time.
      const registry = new library.Registry<RegistryContentType>();
      registry.setContentType(library.OPENMETRICS_CONTENT_TYPE);
      for (const [name, row] of Object.entries(METRIC_TABLE)) {
        this.#instruments.set(name, createInstrument(library, { name, row, registry }));
      }
      this.#registry = registry;
      for (const sample of this.#pending.splice(0)) this.#apply(sample);
      return registry;
    });
    return this.#loading;
  }

  #apply(sample: Sample): void {
    const instrument = this.#instruments.get(sample.name);
    if (instrument === undefined) return;
    if ("observe" in instrument) observe(instrument, sample);
    else if ("set" in instrument) instrument.set(sample.labels, sample.value);
    else instrument.inc(sample.labels, sample.value);
  }
}

function observe(instrument: Histogram, { labels, value, example }: Sample): void {
  if (example === undefined) return instrument.observe({ labels, value });
  const { requestId, traceId } = example;
  const exemplarLabels = {
    request_id: requestId,
    ...(traceId === undefined ? {} : { trace_id: traceId }),
  };
  instrument.observe({ labels, value, exemplarLabels });
}

function createInstrument(
  library: typeof import("./prom_client.ts"),
  parts: { readonly name: string; readonly row: MetricRow; readonly registry: AnyRegistry },
): Instrument {
  const { name, row, registry } = parts;
  const shared = { name, help: row.help, labelNames: [...row.labels], registers: [registry] };
  switch (row.kind) {
    case "counter":
      return new library.Counter(shared);
    case "gauge":
      return new library.Gauge(shared);
    case "histogram":
      return new library.Histogram({
        ...shared,
        buckets: [...row.buckets ?? []],
        enableExemplars: true,
      });
  }
}
