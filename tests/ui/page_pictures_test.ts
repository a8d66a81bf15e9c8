import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "playwright-core";
import { buildPage } from "../../scripts/packaging/page.ts";
import { findChromium, type Look, LOOKS, openBrowser, openPage } from "../harness/browser.ts";
import { differingPixels, painterOf } from "../harness/page_pictures.ts";
import { PICTURED_AT_MS, type PicturedCluster, pictureNode } from "../harness/pictured_node.ts";
import { KEPT_CONVERSATIONS, LONE, SEVERAL } from "../harness/pictured_clusters.ts";

/** `deno task ui:looks` stores the pictures anew: look at each of them before it is committed. */
const IS_RENEWING = Deno.args.includes("--renew");
const FOLDER = fileURLToPath(new URL("pictures", import.meta.url));
/** What the stored ones were made with. */
const PAINTER = `${FOLDER}/made_with.txt`;
/** Of a picture; a word that is another one has more. */
const PIXELS_MAX = 60;
/** How often it is looked, 50 ms apart, whether a view is whole. */
const LOOKS_MAX = 300;
const VIEWS = ["cluster", "chat", "models", "requests", "operations/members", "operations/keys"];

const isThere = findChromium() !== undefined;

Deno.test({
  name: `every view looks as it did, light and dark, wide and on a phone${
    isThere ? "" : " (left out: no Chromium is installed)"
  }`,
  ignore: !isThere,
  // The browser's pipes are its library's, and closed with it.
  sanitizeResources: false,
  sanitizeOps: false,
}, async (t) => {
  await buildPage(fileURLToPath(new URL("../..", import.meta.url)));
  const browser = await openBrowser();
  try {
    const painter = await painterOf(browser);
    if (IS_RENEWING) await Deno.writeTextFile(PAINTER, `${painter}\n`);
    const madeWith = (await Deno.readTextFile(PAINTER)).trim();
    const isComparable = painter === madeWith;
    const why = isComparable
      ? ""
      : ` (left out: the stored ones are of ${madeWith}, not ${painter})`;
    for (const [cluster, views] of [[SEVERAL, VIEWS], [LONE, ["cluster"]]] as const) {
      await using node = await pictureNode(cluster);
      for (const look of LOOKS) {
        const name = `${cluster === LONE ? "alone" : "several"}, ${look.theme}, ${look.size}`;
        await t.step({
          name: `${name}${why}`,
          ignore: !isComparable,
          sanitizeResources: false,
          sanitizeOps: false,
          fn: async () => {
            const { page, context, faults } = await openPage(browser, look);
            try {
              await lookAt(page, context, { cluster, origin: node.origin, look, views });
              assert.deepEqual(faults, []);
            } finally {
              // A node that stops waits for whoever follows its feed.
              await context.close();
            }
          },
        });
      }
    }
  } finally {
    await browser.close();
  }
});

async function lookAt(page: Page, context: BrowserContext, by: {
  readonly cluster: PicturedCluster;
  readonly origin: string;
  readonly look: Look;
  readonly views: readonly string[];
}): Promise<void> {
  const { cluster, origin, look, views } = by;
  await page.clock.setFixedTime(PICTURED_AT_MS);
  await page.emulateMedia({ reducedMotion: "reduce", colorScheme: look.theme });
  const kept = JSON.stringify(KEPT_CONVERSATIONS);
  await context.addInitScript(
    `localStorage.setItem("odist-conversations", ${JSON.stringify(kept)})`,
  );
  await page.goto(`${origin}/ui`);
  const faults: string[] = [];
  for (const view of views) {
    await page.evaluate(`location.hash = "${view}"`);
    await settled(page, view, cluster);
    // It grows with the time that is looked.
    await page.evaluate(
      `document.querySelectorAll(".curve").forEach(({ style }) => style.visibility = "hidden")`,
    );
    const picture = await page.screenshot();
    const name = `${
      cluster === LONE ? "alone" : view.replace("/", "_")
    }-${look.theme}-${look.size}`;
    faults.push(...await compare(page, name, picture));
  }
  assert.deepEqual(faults, []);
}

/** Everything that a view asks for has come. */
async function settled(page: Page, view: string, { status, requests, models }: PicturedCluster) {
  const running = requests.filter(({ state }) => state === "running").length;
  const others = status.members.filter(({ health }) => health === "alive").length - 1;
  const awaited: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
    cluster: [["path.answer", running], ["tfoot tr", 2], [".trips text", others]],
    chat: [[".answered.done", 1], [".conversation", 1]],
    models: [[".cards .card", models.length], ["tfoot tr", 2]],
    requests: [["tbody tr", requests.length]],
    "operations/members": [["tbody tr", status.members.length]],
    "operations/keys": [["tbody tr", 2]],
  };
  const missing = await page.evaluate<string>(`(async (awaited) => {
    for (let looks = 0; looks < ${LOOKS_MAX}; looks++) {
      const isThere = ([selector, count]) => document.querySelectorAll(selector).length === count;
      if (awaited.every(isThere)) return "";
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return awaited.map(([selector, count]) =>
      selector + ": " + document.querySelectorAll(selector).length + " of " + count).join(", ");
  })(${JSON.stringify(awaited[view])})`);
  assert.equal(missing, "");
  // Sizes that are measured are drawn by the frame after the next one.
  await page.evaluate(`new Promise((resolve) =>
    requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(resolve))))`);
}

async function compare(page: Page, name: string, picture: Uint8Array): Promise<string[]> {
  const path = `${FOLDER}/${name}.png`;
  if (IS_RENEWING) {
    await Deno.writeFile(path, picture);
    return [];
  }
  const count = await differingPixels(page, await Deno.readFile(path), picture);
  if (count <= PIXELS_MAX) return [];
  const now = await Deno.makeTempFile({ prefix: `${name}-`, suffix: ".png" });
  await Deno.writeFile(now, picture);
  return [`${name}: ${count} pixels differ; now: ${now}`];
}
