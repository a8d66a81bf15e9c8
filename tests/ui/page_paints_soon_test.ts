import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { median } from "../../bench/measuring/stats.ts";
import { buildPage } from "../../scripts/packaging/page.ts";
import { findChromium, openBrowser, openPage } from "../harness/browser.ts";
import { startNode } from "../harness/node.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Of a page that nothing of is kept in the browser, from a node on this machine. Milliseconds. */
const FIRST_PAINT_MS_MAX = 300;
/** Loads that the figures are of, and how many there may be until one was held up by nothing else that the machine does. */
const LOADS = { least: 15, most: 60 };

const isThere = findChromium() !== undefined;

Deno.test({
  name: `the page of a node on this machine is painted within ${FIRST_PAINT_MS_MAX} ms${
    isThere ? "" : " (left out: no Chromium is installed)"
  }`,
  ignore: !isThere,
  // The browser's pipes are its library's, and closed with it.
  sanitizeResources: false,
  sanitizeOps: false,
}, async () => {
  await buildPage(ROOT);
  await using node = await startNode();
  const browser = await openBrowser();
  try {
    const paints: number[] = [];
    const isEnough = () => paints.length >= LOADS.least && Math.min(...paints) < FIRST_PAINT_MS_MAX;
    while (!isEnough() && paints.length < LOADS.most) {
      const { page, context } = await openPage(browser);
      await page.goto(`${node.origin}/ui`);
      await page.getByText("healthy").waitFor();
      const times = await page.evaluate<Readonly<Record<string, number>>>(
        `Object.fromEntries(performance.getEntriesByType("paint")
          .map(({ name, startTime }) => [name, startTime]))`,
      );
      const paintMs = times["first-contentful-paint"];
      assert.ok(paintMs !== undefined, "nothing was painted");
      paints.push(paintMs);
      await context.close();
    }
    const best = Math.min(...paints);
    console.log(
      `first paint: median ${median(paints).toFixed(0)} ms, best ${best.toFixed(0)} ms, ` +
        `worst ${Math.max(...paints).toFixed(0)} ms of ${paints.length} loads`,
    );
    // Whatever else the machine does holds loads up, and makes none of them faster.
    assert.ok(best < FIRST_PAINT_MS_MAX, `${best} ms`);
  } finally {
    await browser.close();
  }
});
