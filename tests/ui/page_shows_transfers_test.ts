import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type PageTest, pageTest } from "../harness/browser.ts";
import { TestRegistry } from "../harness/registry.ts";
import { readTinyGguf } from "../harness/test_models.ts";

/** Of each part of the blob that the registry sends before it stalls. */
const HELD_BYTES = 100_000;
/** Slow enough that a page which looks once a second sees some of a few megabytes on their way. */
const SLOW = { bytesPerSecond: 400_000 };

/** A model that no node has a blob of. */
async function newWeights(): Promise<Uint8Array<ArrayBuffer>> {
  const weights = await readTinyGguf();
  weights[weights.length - 1] = (weights.at(-1) ?? 0) ^ 1;
  return weights;
}

/** What is shown of a model on its way to a node, as `[percent, text]`, once it is more than nothing and less than all. */
async function underWay(page: Page, node: string): Promise<readonly [number, string]> {
  const meter = page.getByRole("list", { name: "On their way to nodes" })
    .getByRole("meter", { name: `to ${node}`, exact: true })
    .and(page.locator(":not([aria-valuenow='0']):not([aria-valuenow='100'])"));
  await meter.waitFor();
  // Both at once: it moves on.
  const html = await meter.evaluate((element: { readonly outerHTML: string }) => element.outerHTML);
  const of = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(html)?.[1] ?? "";
  return [Number(of("aria-valuenow")), of("aria-valuetext")];
}

pageTest(
  "a model that is pulled by one node and copied to another one is shown on its way to each",
  { nodes: 3 },
  async ({ cluster, open }: PageTest) => {
    await using registry = new TestRegistry();
    const weights = await newWeights();
    const model = registry.addModel("fresh", { weights });
    registry.holdAfter(HELD_BYTES);
    // The page is another node's than the one that pulls.
    const page = await open("n1");
    await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Models" })
      .click();
    const pulled = cluster.client("n2").lines("/api/pull", { model, insecure: true });
    const [, text] = await underWay(page, "n2");
    assert.match(text, /^[\d.]+ (?:B|KiB|MiB) of 4\.\d MiB$/);
    registry.release();
    assert.equal((await pulled).at(-1)?.["status"], "success");

    cluster.degrade(SLOW);
    await cluster.client("n1").ask("POST", "/api/cluster/members/n3/pin", { model });
    const [percent] = await underWay(page, "n3");
    assert.ok(percent > 0 && percent < 100, `${percent}`);
    cluster.heal();
    const list = page.getByRole("list", { name: "On their way to nodes" });
    await list.waitFor({ state: "detached" });
    const row = page.getByRole("region", { name: "Where models lie" }).getByRole("row")
      .filter({ hasText: "fresh" });
    await row.getByText("on disk").nth(1).waitFor({ state: "attached" });
  },
);
