import type { StateKeeper } from "../base/mod.ts";

/** Severity, least first. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** Structured log lines; values must be JSON-able and free of secrets, prompts and tokens. */
export interface Log {
  log(level: LogLevel, event: string, values?: Readonly<Record<string, unknown>>): void;
}

/** Labels of one sample. Names and values are few: never a request id. */
export type MetricLabels = Readonly<Record<string, string>>;

/** Whose observation it is, for who looks for one of them: the last of each bucket is shown. */
export interface MetricExample {
  readonly requestId: string;
  readonly traceId?: string;
}

export type MetricFormat = "prometheus" | "openmetrics";

/** Counters, gauges and histograms by name, declared in one table in `src/telemetry/`. */
export interface Metrics {
  increment(name: string, labels?: MetricLabels, by?: number): void;
  set(name: string, value: number, labels?: MetricLabels): void;
  /** Durations in seconds, sizes in bytes, as Prometheus wants. */
  observe(name: string, value: number, labels?: MetricLabels, example?: MetricExample): void;
  /** Prometheus's text format (the default), or OpenMetrics, which alone shows examples; and its content type. */
  render(format?: MetricFormat): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** A part of the core whose decisions are recorded. */
export type RecordedPart = "scheduler" | "answer" | "membership" | "raft" | "voters";

/** Where a course of steps begins. */
export interface CourseStart {
  readonly part: RecordedPart;
  /** Which one, where there are many; default "". */
  readonly id?: string;
  /** What the part is made with: plain data. */
  readonly options: unknown;
  /** Goes over its state, so that the course can begin later; absent = it is recorded from its beginning, or not at all. */
  readonly keep?: (keeper: StateKeeper) => void;
  /** What the options hold on to, about; default 0. */
  readonly bytes?: number;
}

/** Takes down the steps of one part. */
export interface StepRecorder {
  /** After each step, before anything is done for it. Neither is changed by anybody later. `bytes`: what both hold on to, about. */
  note(input: unknown, orders: unknown, bytes?: number): void;
}

/** Takes down what parts of the core are told and what they order, so that it can be replayed. Never throws. */
export interface Recorder {
  begin(course: CourseStart): StepRecorder;
}

/** What of the recordings is wanted. */
export interface IncidentWish {
  /** Steps of so many milliseconds before now. */
  readonly lastMs: number;
  /** Prompts and answers, too. */
  readonly withTexts: boolean;
}
