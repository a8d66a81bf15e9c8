/** Severity, least first. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** Structured log lines; values must be JSON-able and free of secrets, prompts and tokens. */
export interface Log {
  log(level: LogLevel, event: string, values?: Readonly<Record<string, unknown>>): void;
}

/** Labels of one sample. Names and values are few: never a request id. */
export type MetricLabels = Readonly<Record<string, string>>;

/** Counters, gauges and histograms by name, declared in one table in `src/telemetry/`. */
export interface Metrics {
  increment(name: string, labels?: MetricLabels, by?: number): void;
  set(name: string, value: number, labels?: MetricLabels): void;
  /** Durations in seconds, sizes in bytes, as Prometheus wants. */
  observe(name: string, value: number, labels?: MetricLabels): void;
  /** Prometheus text format and its content type. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}
