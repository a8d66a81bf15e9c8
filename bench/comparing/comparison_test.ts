import assert from "node:assert/strict";
import { figuresOf, type Level, markdownReport, ratiosOf } from "./comparison.ts";
import { barChart } from "../measuring/plot.ts";
import { promptOf } from "../measuring/prompts.ts";

function round(server: string, wallMs: number, text: string) {
  const completion = {
    text,
    answerTokens: 100,
    promptTokens: 10,
    ttftMs: wallMs / 10,
    totalMs: wallMs,
  };
  return { server, wallMs, completions: [completion, { ...completion, text: "same" }] };
}

const LEVEL: Level = {
  streams: 2,
  sharedWords: 0,
  rounds: [
    round("a", 1_000, "x"),
    round("b", 2_000, "x"),
    round("b", 2_000, "z"),
    round("a", 500, "y"),
  ],
};

Deno.test("figuresOf() divides all tokens by all wall time", () => {
  const figures = figuresOf(LEVEL, "a");
  assert.equal(figures.answerTokens, 400);
  assert.equal(figures.tokensPerSecond, 400 / 1.5);
  assert.equal(figures.ttftMsP90, 100);
});

Deno.test("ratiosOf() pairs rounds in the order they ran and compares texts", () => {
  const ratios = ratiosOf(LEVEL, { server: "a", other: "b" });
  assert.equal(ratios.tokensPerSecondMin, 2);
  assert.equal(ratios.tokensPerSecondMax, 4);
  assert.deepEqual([ratios.equalAnswers, ratios.comparedAnswers], [3, 4]);
});

Deno.test("markdownReport() and barChart() show every figure", () => {
  const figures = [figuresOf(LEVEL, "a"), figuresOf(LEVEL, "b")];
  const report = markdownReport(figures, [ratiosOf(LEVEL, { server: "a", other: "b" })], {
    cpu: "x",
  });
  assert.match(report, /\| a \| 2 \| 266\.7 \|/);
  assert.match(report, /- cpu: x/);
  const bars = figures.map((row) => ({
    group: "2",
    series: row.server,
    value: row.tokensPerSecond,
  }));
  const svg = barChart({ title: "t < u", axis: "tokens/s", bars });
  assert.equal([...svg.matchAll(/<rect class="bar"/g)].length, 2);
  assert.match(svg, /t &lt; u/);
});

Deno.test("promptOf() repeats itself and shares no beginning", () => {
  assert.equal(promptOf(7, 60), promptOf(7, 60));
  assert.notEqual(promptOf(7, 60).slice(0, 2), promptOf(8, 60).slice(0, 2));
});
