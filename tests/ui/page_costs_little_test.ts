import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readProcessCost } from "../../bench/measuring/machine.ts";
import { buildPage } from "../../scripts/packaging/page.ts";
import { findChromium, openBrowser, openPage } from "../harness/browser.ts";
import { LARGE } from "../harness/large_cluster.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAM = fileURLToPath(new URL("../harness/large_cluster.ts", import.meta.url));
/** Of a core, in the node whose page is looked at. */
const NODE_PART_MAX = 0.05;
const MEASURED_MS = 20_000;
/** Until what a first page load costs is over. */
const WARM_MS = 8_000;

const isThere = findChromium() !== undefined && Deno.build.os === "linux";

/** Seconds of the page's main thread by what they went to. */
type Metrics = { readonly metrics: readonly { readonly name: string; readonly value: number }[] };

Deno.test({
  name: `${LARGE.members} nodes and ${LARGE.requests} requests in view cost the node little${
    isThere ? "" : " (left out: no Chromium is installed, or no /proc)"
  }`,
  ignore: !isThere,
  // The browser's pipes are its library's, and closed with it.
  sanitizeResources: false,
  sanitizeOps: false,
}, async () => {
  await buildPage(ROOT);
  const node = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--unstable-net", PROGRAM],
    cwd: ROOT,
    stdout: "piped",
  }).spawn();
  const browser = await openBrowser();
  try {
    const { value } = await node.stdout.getReader().read();
    const origin = new TextDecoder().decode(value).trim();
    const { page, context } = await openPage(browser);
    await page.goto(`${origin}/ui`);
    await page.locator("path.answer").nth(LARGE.requests - 1).waitFor();
    assert.equal(await page.locator("g.node").count(), LARGE.members);
    const devtools = await context.newCDPSession(page);
    await devtools.send("Performance.enable");
    const busy = async () => {
      const { metrics }: Metrics = await devtools.send("Performance.getMetrics");
      return new Map(metrics.map(({ name, value: seconds }) => [name, seconds]));
    };
    await page.waitForTimeout(WARM_MS);
    const [node0, page0] = [readProcessCost(node.pid).cpuSeconds, await busy()];
    const intervals = await page.evaluate<number[]>(`new Promise((resolve) => {
      const intervals = [];
      let last = performance.now();
      const end = last + ${MEASURED_MS};
      const look = (now) => {
        intervals.push(now - last);
        last = now;
        if (now < end) requestAnimationFrame(look);
        else resolve(intervals.sort((one, other) => one - other));
      };
      requestAnimationFrame(look);
    })`);
    const [node1, page1] = [readProcessCost(node.pid).cpuSeconds, await busy()];
    const part = (node1 - node0) / (MEASURED_MS / 1_000);
    const spent = (name: string) =>
      `${name} ${
        (100 * ((page1.get(name) ?? 0) - (page0.get(name) ?? 0)) / (MEASURED_MS / 1_000)).toFixed(1)
      } %`;
    const at = (share: number) => intervals[Math.floor(share * (intervals.length - 1))]?.toFixed(0);
    console.log(
      `node ${(100 * part).toFixed(1)} % of a core; page: ` +
        ["TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"].map(spent)
          .join(", ") +
        `; frames ${intervals.length}, median ${at(0.5)} ms, p95 ${at(0.95)} ms`,
    );
    assert.ok(part < NODE_PART_MAX, `${part} of a core`);
  } finally {
    await browser.close();
    node.kill("SIGKILL");
    await node.status;
  }
});
