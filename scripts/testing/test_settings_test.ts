import assert from "node:assert/strict";
import { parseDurationMs, readTestSettings } from "./test_settings.ts";

Deno.test("readTestSettings() has the documented defaults", () => {
  assert.deepEqual(readTestSettings({}, "/repo"), {
    nodeCount: 3,
    timeoutMs: 30 * 60_000,
    artifactsFolder: "/repo/test-artifacts",
    ci: false,
    vectorsFolder: "/shared/vectors",
  });
});

Deno.test("readTestSettings() takes each value from the environment", () => {
  const settings = readTestSettings({
    ODIST_TEST_NODE_COUNT: "5",
    ODIST_TEST_TIMEOUT: "1h30m",
    ODIST_TEST_ARTIFACTS_DIR: "/out",
    ODIST_TEST_CI: "true",
    ODIST_TEST_VECTORS: "vectors",
  }, "/repo");
  assert.deepEqual(settings, {
    nodeCount: 5,
    timeoutMs: 90 * 60_000,
    artifactsFolder: "/out",
    ci: true,
    vectorsFolder: "/repo/vectors",
  });
});

Deno.test("readTestSettings() refuses nonsense and names the variable", () => {
  for (
    const [name, value] of [
      ["ODIST_TEST_NODE_COUNT", "0"],
      ["ODIST_TEST_NODE_COUNT", "many"],
      ["ODIST_TEST_TIMEOUT", "30"],
      ["ODIST_TEST_TIMEOUT", "0s"],
      ["ODIST_TEST_TIMEOUT", "-5m"],
      ["ODIST_TEST_CI", "yes"],
    ] as const
  ) {
    assert.throws(() => readTestSettings({ [name]: value }, "/repo"), new RegExp(name));
  }
});

Deno.test("parseDurationMs() adds up the parts", () => {
  assert.equal(parseDurationMs("T", "1h2m3s4ms"), 3_723_004);
  assert.equal(parseDurationMs("T", "1.5s"), 1_500);
});
