import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { pageTest } from "../harness/browser.ts";
import type { TestCluster } from "../harness/cluster.ts";
import {
  askOnPage,
  firstToken,
  heldSlot,
  onOneLine,
  POEM,
  undisturbed,
  wholeText,
} from "../harness/page_talk.ts";

/** An answer of a model this small is soon over; a kill that came too late shows nothing and is tried again. */
const TRIES_MAX = 8;

/** The line of an answer that nobody reads to its end leads elsewhere once the node that computes it is killed. */
async function linesMove(cluster: TestCluster, page: Page): Promise<void> {
  const slot = await heldSlot(cluster);
  // The page has to have seen who computes it.
  await page.locator("path.answer:not(.waiting)").waitFor();
  const { requests } = await cluster.client("n1").ask("GET", "/api/cluster/requests");
  const [row] = requests as { readonly node: string }[];
  await cluster.kill(row?.node ?? "");
  await page.getByText(new RegExp(`went on at n[23]: it had begun at ${row?.node}`)).waitFor();
  await page.locator("path.answer.moved").waitFor();
  await slot.release();
}

/** Waits until a chat that comes in at n1 is computed by another one that is well. */
async function othersCompute(cluster: TestCluster): Promise<void> {
  await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
  await cluster.until("others compute what comes in at n1", async () => {
    const { headers } = await cluster.client("n1").request("POST", "/api/generate", {
      body: { model: "tiny", prompt: "" },
    });
    const id = headers.get("x-request-id") ?? "";
    const { routes } = await cluster.client("n1").ask("GET", `/api/cluster/explain/${id}`);
    const [route] = routes as { chosen: { rank: string } | null; runners_up: { rank: string }[] }[];
    const all = route === undefined ? [] : [route.chosen, ...route.runners_up];
    return all.filter((one) => one?.rank === "sound").length === 2;
  });
}

pageTest(
  "what streams on the page goes on, to the byte, when the node that computes it is killed",
  { nodes: 3 },
  async ({ cluster, open }) => {
    await othersCompute(cluster);
    const expected = await undisturbed(cluster, POEM);
    const page = await open("n1");
    await page.getByRole("link", { name: "Chat" }).click();
    for (let attempt = 1;; attempt++) {
      const answer = await askOnPage(page, POEM);
      await firstToken(page);
      const node = await answer.locator(".tag.accent").innerText();
      assert.notEqual(node, "n1");
      await cluster.kill(node);
      assert.equal(onOneLine(await wholeText(answer)), expected);
      await answer.getByRole("button", { name: "why there?" }).click();
      await answer.locator(".route").first().waitFor();
      const didStrike = await answer.getByText("went on").count() > 0;
      await cluster.restart(node);
      await cluster.healthy(3);
      await othersCompute(cluster);
      if (didStrike) break;
      assert.ok(attempt < TRIES_MAX, "no kill came while the answer was computed");
      await page.getByRole("button", { name: "New conversation" }).click();
    }
    await page.getByRole("link", { name: "Cluster" }).click();
    await page.getByText(/is back/).first().waitFor();
    await linesMove(cluster, page);
  },
);

pageTest(
  "the page and its answer outlive, to the byte, the node that served it",
  { nodes: 3 },
  async ({ cluster, open }) => {
    const expected = await undisturbed(cluster, POEM);
    for (let attempt = 0;; attempt++) {
      const served = cluster.names[attempt % cluster.names.length] ?? "";
      const page = await open(served);
      await page.getByText("healthy").waitFor();
      await page.getByRole("link", { name: "Chat" }).click();
      const answer = await askOnPage(page, POEM);
      await firstToken(page);
      await cluster.kill(served);
      assert.equal(onOneLine(await wholeText(answer)), expected);
      assert.equal(await answer.getByText("begun again").count(), 0);
      await page.getByText(/this page's node is gone: now via n[123]/).waitFor();
      const next = await askOnPage(page, "Why is the sky blue?");
      assert.match(await wholeText(next), /scatters/);
      await page.getByRole("link", { name: "Cluster" }).click();
      await page.getByRole("button", { name: new RegExp(`^${served}: .*(suspect|down)`) })
        .waitFor();
      await page.getByRole("link", { name: "Chat" }).click();
      if (await page.getByText("taken up on another node").count() > 0) break;
      assert.ok(attempt < TRIES_MAX, "no kill came while the answer was told");
      await page.close();
      await cluster.restart(served);
      await cluster.healthy(3);
    }
  },
);
