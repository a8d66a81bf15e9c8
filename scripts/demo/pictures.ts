/**
 * Makes the pictures of the page in `docs/pictures`, of a real three-node cluster in a real browser: `deno task ui:pictures`. With a
 * folder, every view comes to lie there, light and dark, wide and as on a phone.
 *
 * @module
 */
import type { Browser, Page } from "playwright-core";
import { fileURLToPath } from "node:url";
import { LOOKS, openBrowser, openPage } from "../../tests/harness/browser.ts";
import { TestCluster } from "../../tests/harness/cluster.ts";
import { askOnPage, LONG_REQUEST, wholeText } from "../../tests/harness/page_talk.ts";
import { buildPage } from "../packaging/page.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDER = `${ROOT}docs/pictures`;
const VIEWS = [
  "cluster",
  "chat",
  "models",
  "requests",
  "operations/members",
  "operations/tokens",
  "operations/changes",
  "operations/logs",
];
/** Until what moves on the page has come to rest. */
const SETTLE_MS = 2_500;
/** Who is asked while pictures are made: as many as there are slots. */
const ASKED = ["n1", "n2", "n3"];
const MODELFILES = {
  pirate: { from: "tiny", system: "You talk like a pirate." },
  "notes:small": { from: "tiny", system: "You keep notes." },
};
const QUESTIONS = ["What is odist?", "Write a poem.", "Explain Raft."];

/** Nodes are asked for answers without end, until it is told to stop. */
function keepBusy(cluster: TestCluster, nodes: readonly string[]): () => Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  const body = JSON.stringify(LONG_REQUEST);
  const asking = nodes.map(async (node) => {
    try {
      const init = { method: "POST", signal, body };
      await (await cluster.client(node).fetch("/api/generate", init)).text();
    } catch {
      // It was told to stop, or its node was killed for a picture.
    }
  });
  return async () => {
    over.abort();
    await Promise.all(asking);
  };
}

async function talk(page: Page): Promise<void> {
  await page.getByRole("link", { name: "Chat" }).click();
  for (const question of QUESTIONS) await wholeText(await askOnPage(page, question));
  await page.getByRole("button", { name: "why there?" }).last().click();
  await page.locator(".route").first().waitFor();
}

async function show(page: Page, view: string): Promise<void> {
  await page.evaluate(`location.hash = "${view}"`);
  await page.waitForTimeout(SETTLE_MS);
}

async function everyView(browser: Browser, cluster: TestCluster, folder: string): Promise<void> {
  for (const look of LOOKS) {
    const { page } = await openPage(browser, look);
    await page.goto(`${cluster.client("n1").origin}/ui`);
    await talk(page);
    const stop = keepBusy(cluster, ASKED);
    for (const view of VIEWS) {
      await show(page, view);
      const name = `${view.replaceAll("/", "_")}-${look.theme}-${look.size}.png`;
      await page.screenshot({ path: `${folder}/${name}` });
    }
    await stop();
    await page.close();
  }
}

async function forDocs(browser: Browser, cluster: TestCluster): Promise<void> {
  const { page } = await openPage(browser, { theme: "light", size: "wide" });
  await page.goto(`${cluster.client("n1").origin}/ui`);
  await talk(page);
  await page.screenshot({ path: `${FOLDER}/chat.png` });
  const stop = keepBusy(cluster, ASKED);
  await show(page, "cluster");
  await page.locator(".node-state", { hasText: "1 running" }).nth(1).waitFor();
  await page.waitForTimeout(SETTLE_MS);
  await page.screenshot({ path: `${FOLDER}/cluster.png` });
  await page.close();
  await stop();
  await death(browser, cluster);
}

/** What comes in at n1 is computed by one of the others; its slot stays free for when that one is gone. */
async function death(browser: Browser, cluster: TestCluster): Promise<void> {
  const { page } = await openPage(browser, { theme: "dark", size: "wide" });
  await page.goto(`${cluster.client("n1").origin}/ui`);
  await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
  const stop = keepBusy(cluster, ["n1"]);
  await page.locator("path.answer:not(.waiting)").waitFor();
  await page.waitForTimeout(SETTLE_MS);
  const { requests } = await cluster.client("n1").ask("GET", "/api/cluster/requests");
  const rows = requests as { readonly state: string; readonly node?: string }[];
  const doomed = rows.find(({ state, node }) => state === "running" && node !== "n1");
  await cluster.kill(doomed?.node ?? "n3");
  await page.getByText(/went on at/).first().waitFor();
  await page.waitForTimeout(SETTLE_MS);
  await page.screenshot({ path: `${FOLDER}/death.png` });
  await stop();
}

if (import.meta.main) {
  const [folder] = Deno.args;
  await buildPage(ROOT);
  await using cluster = await TestCluster.start(3);
  for (const [model, recipe] of Object.entries(MODELFILES)) {
    await cluster.client("n1").ask("POST", "/api/create", { model, ...recipe, stream: false });
  }
  const browser = await openBrowser();
  try {
    if (folder === undefined) await forDocs(browser, cluster);
    else await everyView(browser, cluster, folder);
  } finally {
    await browser.close();
  }
}
