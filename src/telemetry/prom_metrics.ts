import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { assert } from "../base/mod.ts";
import type { Clock, MetricLabels, Metrics } from "../ports/mod.ts";
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
}

type Instrument = Counter | Gauge | Histogram;

/** Metrics over `prom-client`, which is loaded a while after start-up, or when somebody asks for the metrics. */
export class PromMetrics implements Metrics {
  readonly #clock: Clock;
  readonly #version: string;
  readonly #startedMs: number;
  readonly #pending: Sample[] = [];
  readonly #instruments = new Map<string, Instrument>();
  #registry: Registry | undefined;
  #loading: Promise<Registry> | undefined;

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

  observe(name: string, value: number, labels: MetricLabels = {}): void {
    this.#record({ operation: "observe", name, labels, value });
  }

  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    const registry = await this.#load();
    const { rss, heapUsed } = Deno.memoryUsage();
    this.set("odist_build", 1, { version: this.#version });
    this.set("odist_clock_timestamp_seconds", this.#clock.nowMs() / 1000);
    this.set("odist_process_resident_bytes", rss);
    this.set("odist_process_heap_bytes", heapUsed);
    const uptimeMs = this.#clock.monotonicMs() - this.#startedMs;
    this.set("odist_process_uptime_seconds", uptimeMs / 1000);
    return { contentType: registry.contentType, text: await registry.metrics() };
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

  #load(): Promise<Registry> {
    this.#loading ??= import("./prom_client.ts").then((library) => {
      const registry = new library.Registry();
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
    if ("observe" in instrument) instrument.observe(sample.labels, sample.value);
    else if ("set" in instrument) instrument.set(sample.labels, sample.value);
    else instrument.inc(sample.labels, sample.value);
  }
}

function createInstrument(
  library: typeof import("./prom_client.ts"),
  parts: { readonly name: string; readonly row: MetricRow; readonly registry: Registry },
): Instrument {
  const { name, row, registry } = parts;
  const shared = { name, help: row.help, labelNames: [...row.labels], registers: [registry] };
  switch (row.kind) {
    case "counter":
      return new library.Counter(shared);
    case "gauge":
      return new library.Gauge(shared);
    case "histogram":
      return new library.Histogram({ ...shared, buckets: [...row.buckets ?? []] });
  }
}
