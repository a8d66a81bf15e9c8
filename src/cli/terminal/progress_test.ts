import assert from "node:assert/strict";
import { displayWidth } from "../../base/mod.ts";
import { type ProgressRow, RateMeter, renderProgress } from "./progress.ts";

function render(row: ProgressRow, columns = 90): string {
  return renderProgress([row], { columns, frame: 0 })[0] ?? "";
}

Deno.test("renderProgress shows percent, bar, sizes, rate and time left", () => {
  const text = render({
    label: "pulling 6a0746a1ec1a",
    total: 4.7e9,
    completed: 2.1e9,
    bytesPerSecond: 55e6,
    state: "running",
  });
  const bar = `▕${"█".repeat(10)}${" ".repeat(14)}▏`;
  assert.equal(text, `pulling 6a0746a1ec1a:  44% ${bar} 2.1 GB/4.7 GB   55 MB/s   47s`);
});

Deno.test("renderProgress shows only the total of a finished bar", () => {
  const row: ProgressRow = { label: "x", total: 1e6, completed: 1e6, state: "done" };
  assert.equal(render(row), `x: 100% ▕${"█".repeat(24)}▏ 1 MB`);
  assert.match(render({ ...row, total: 0 }), /^x: 100%/);
});

Deno.test("renderProgress turns a spinner behind a status until it is done", () => {
  assert.equal(render({ label: "writing manifest", state: "running" }), "writing manifest ⠋");
  assert.equal(render({ label: "writing manifest", state: "done" }), "writing manifest");
});

Deno.test("renderProgress says long times in hours and nothing when nothing moves", () => {
  const row: ProgressRow = { label: "x", total: 1e12, completed: 0, state: "running" };
  assert.match(render({ ...row, bytesPerSecond: 1e8 }), /2h46m$/);
  assert.match(render({ ...row, bytesPerSecond: 1e3 }), /99h\+$/);
  assert.match(render({ ...row, total: 6e9, bytesPerSecond: 1e8 }), /1m0s$/);
  assert.match(render({ ...row, bytesPerSecond: 0 }), /0 B\/s$/);
});

Deno.test("renderProgress stays within the terminal", () => {
  const row: ProgressRow = { label: "pulling 6a0746a1ec1a", total: 5, state: "running" };
  for (const columns of [20, 40, 60]) assert(displayWidth(render(row, columns)) <= columns);
});

Deno.test("RateMeter measures the last seconds only", () => {
  const meter = new RateMeter();
  meter.add(0, 0);
  assert.equal(meter.bytesPerSecond(), undefined);
  meter.add(1_000, 100);
  assert.equal(meter.bytesPerSecond(), 100);
  meter.add(11_000, 100);
  meter.add(12_000, 1_100);
  assert.equal(meter.bytesPerSecond(), 1_000 / 11 * 1);
});
