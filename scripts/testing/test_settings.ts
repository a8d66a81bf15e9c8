/**
 * What the environment says about a test run. The names are those users of such suites know.
 *
 * @module
 */
import { isAbsolute, join } from "node:path";

/** Settings of one test run. */
export interface TestSettings {
  /** Nodes that cluster tests start, >= 1. `ODIST_TEST_NODE_COUNT`, default 3. */
  readonly nodeCount: number;
  /** After this the whole run ends and counts as failed. `ODIST_TEST_TIMEOUT`, default 30 minutes. */
  readonly timeoutMs: number;
  /** Where each run makes its own folder; absolute. `ODIST_TEST_ARTIFACTS_DIR`, default ./test-artifacts. */
  readonly artifactsFolder: string;
  /** Lock file frozen. `ODIST_TEST_CI`, default false. */
  readonly ci: boolean;
  /** Test vectors of others, skipped where there are none; absolute. `ODIST_TEST_VECTORS`, default ../shared/vectors. */
  readonly vectorsFolder: string;
}

/** Reads the settings; throws TypeError or RangeError naming the variable, the wanted and the present value. */
export function readTestSettings(
  environment: Readonly<Record<string, string>>,
  root: string,
): TestSettings {
  const text = (name: string, fallback: string) => environment[name] || fallback;
  const folder = (name: string, fallback: string) => {
    const path = text(name, fallback);
    return isAbsolute(path) ? path : join(root, path);
  };
  const nodeCount = Number(text("ODIST_TEST_NODE_COUNT", "3"));
  if (!Number.isInteger(nodeCount) || nodeCount < 1) {
    throw new RangeError(
      `ODIST_TEST_NODE_COUNT must be a whole number >= 1: current value is "${environment.ODIST_TEST_NODE_COUNT}"`,
    );
  }
  const ci = text("ODIST_TEST_CI", "false");
  if (ci !== "true" && ci !== "false") {
    throw new TypeError(`ODIST_TEST_CI must be "true" or "false": current value is "${ci}"`);
  }
  return {
    nodeCount,
    timeoutMs: parseDurationMs("ODIST_TEST_TIMEOUT", text("ODIST_TEST_TIMEOUT", "30m")),
    artifactsFolder: folder("ODIST_TEST_ARTIFACTS_DIR", "test-artifacts"),
    ci: ci === "true",
    vectorsFolder: folder("ODIST_TEST_VECTORS", "../shared/vectors"),
  };
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as Go writes it (`90s`, `1h30m`, `500ms`); must be above 0. */
export function parseDurationMs(name: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const durationMs = parts.reduce(
    (sum, [, count, unit = ""]) => sum + Number(count) * (UNITS_MS[unit] ?? 0),
    0,
  );
  if (parts.map(([part]) => part).join("") !== text || durationMs <= 0) {
    throw new TypeError(
      `${name} must be a duration above 0 such as "30m": current value is "${text}"`,
    );
  }
  return durationMs;
}
