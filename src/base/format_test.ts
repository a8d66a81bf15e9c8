import assert from "node:assert/strict";
import {
  displayWidth,
  formatBinaryBytes,
  formatBytes,
  formatCount,
  formatRelativeTime,
  formatSpan,
  formatTable,
} from "./format.ts";

Deno.test("formatBytes uses decimal units and one digit below ten", () => {
  const rows: readonly (readonly [number, string])[] = [
    [0, "0 B"],
    [999, "999 B"],
    [1_000, "1 KB"],
    [1_500, "1.5 KB"],
    [815_319_791, "815 MB"],
    [4_683_087_332, "4.7 GB"],
    [10_000_000_000, "10 GB"],
    [2_000_000_000_000, "2 TB"],
  ];
  for (const [bytes, wanted] of rows) assert.equal(formatBytes(bytes), wanted);
  assert.equal(formatBinaryBytes(1.5 * 2 ** 30), "1.5 GiB");
});

Deno.test("formatCount names parameters as models do", () => {
  const rows: readonly (readonly [number, string])[] = [
    [70_553_706_560, "70.6B"],
    [3_212_749_888, "3.2B"],
    [7_000_000_000, "7B"],
    [134_515_008, "134.52M"],
    [4_200_192, "4.20M"],
    [5_000_000, "5M"],
    [1_000, "1K"],
    [12, "12"],
  ];
  for (const [count, wanted] of rows) assert.equal(formatCount(count), wanted);
});

Deno.test("formatSpan words each span as the contract does", () => {
  const hour = 3_600_000;
  const rows: readonly (readonly [number, string])[] = [
    [999, "Less than a second"],
    [1_000, "1 second"],
    [59_999, "59 seconds"],
    [60_000, "About a minute"],
    [119_999, "About a minute"],
    [120_000, "2 minutes"],
    [hour - 1, "59 minutes"],
    [hour, "About an hour"],
    [1.4 * hour, "About an hour"],
    [1.6 * hour, "2 hours"],
    [47 * hour, "47 hours"],
    [48 * hour, "2 days"],
    [13 * 24 * hour, "13 days"],
    [14 * 24 * hour, "2 weeks"],
    [60 * 24 * hour, "2 months"],
    [730 * 24 * hour, "2 years"],
  ];
  for (const [spanMs, wanted] of rows) assert.equal(formatSpan(spanMs), wanted);
});

Deno.test("formatRelativeTime looks both ways", () => {
  assert.equal(formatRelativeTime({ atMs: 0, nowMs: 3 * 86_400_000 }), "3 days ago");
  assert.equal(formatRelativeTime({ atMs: 240_000, nowMs: 0 }), "4 minutes from now");
});

Deno.test("formatTable aligns columns by what a terminal shows", () => {
  assert.deepEqual(formatTable([["NAME", "SIZE"], ["模型", "1 B"], ["long-name", "2 B"], ["x"]]), [
    "NAME         SIZE",
    "模型         1 B",
    "long-name    2 B",
    "x",
  ]);
  assert.deepEqual(formatTable([]), []);
});

Deno.test("displayWidth counts cells, not code units", () => {
  assert.equal(displayWidth("aé模🙂"), 6);
  assert.equal(displayWidth("e\u0301"), 1);
});
