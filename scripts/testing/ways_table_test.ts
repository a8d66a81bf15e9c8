import assert from "node:assert/strict";
import { staleFigures, type WayFigures, withFigures } from "./ways_table.ts";

const PAGE = `Text.

| way              | before | now    | generators, before | now |
| ---------------- | ------ | ------ | ------------------ | --- |
| a chat request   | 74, 11 | 80, 18 | 3                  | 1   |
| a pull           | 86, 10 | 99, 16 | –                  | –   |
`;

const figures = (files: number, folders: number, tokenGenerators?: number): WayFigures => ({
  files,
  folders,
  tokenGenerators,
});

Deno.test("staleFigures() lets a page be off by a few files, and by no generator", () => {
  const near = new Map([["a chat request", figures(84, 17, 1)], ["a pull", figures(95, 16)]]);
  assert.deepEqual(staleFigures(PAGE, near), []);
  const far = new Map([["a chat request", figures(85, 18, 1)], ["a pull", figures(99, 16, 1)]]);
  assert.deepEqual(staleFigures(PAGE, far), [
    '"a chat request": the page says 80, 18 and 1, measured are 85, 18 and 1',
    '"a pull": the page says 99, 16 and –, measured are 99, 16 and 1',
  ]);
});

Deno.test("staleFigures() wants a row for each way", () => {
  assert.throws(() => staleFigures(PAGE, new Map([["a push", figures(1, 1)]])), /a push/);
});

Deno.test("withFigures() writes what is measured and leaves what was before", () => {
  const page = withFigures(PAGE, new Map([["a chat request", figures(70, 15, 2)]]));
  assert.match(page, /\| a chat request \| 74, 11 \| 70, 15 \| 3 \| 2 \|/);
  assert.ok(page.includes("| 86, 10 | 99, 16 |"));
});
