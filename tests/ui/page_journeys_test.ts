import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type PageTest, pageTest } from "../harness/browser.ts";
import {
  askOnPage,
  heldSlot,
  onOneLine,
  POEM,
  undisturbed,
  wholeText,
} from "../harness/page_talk.ts";
import { TestRegistry } from "../harness/registry.ts";
import { readTinyGguf } from "../harness/test_models.ts";

/** Promised for a page of this machine; a machine that does other things besides is given ten times as long. */
const FIRST_PAINT_MS_MAX = 3_000;

const go = (page: Page, view: string) =>
  page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: view }).click();

/** Says yes to what the page asks before it does something that can't be taken back. */
const confirm = (page: Page, action: string) =>
  page.getByRole("dialog").getByRole("button", { name: action, exact: true }).click();

pageTest("people see and use a cluster on the page of any node", { nodes: 3 }, async (test, t) => {
  const page = await test.open("n1");
  await t.step("a browser that asks the root is shown the cluster", () => firstLook(test, page));
  await t.step(
    "a conversation streams, says who answered and why, and survives a reload",
    () => talk(test, page),
  );
  await t.step(
    "a question may be asked otherwise, and an answer be stopped and had again",
    () => talkOtherwise(test, page),
  );
  await t.step("a model is pulled, made, copied, shown and deleted", () => models(page));
  await t.step("requests are told, explained and ended", () => requests(test, page));
  await t.step(
    "members are drained, and machines, programs and settings let in and out",
    () => operate(test, page),
  );
});

async function firstLook({ cluster }: PageTest, page: Page): Promise<void> {
  const { origin, host } = new URL(cluster.client("n1").origin);
  const hosts = new Set<string>();
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  await page.goto(`${origin}/`);
  for (const name of cluster.names) {
    await page.getByRole("button", { name: new RegExp(`^${name}: `) }).waitFor();
  }
  assert.equal(new URL(page.url()).pathname, "/ui");
  await page.getByText("healthy").waitFor();
  const paintMs = await page.evaluate<number>(
    `performance.getEntriesByName("first-contentful-paint")[0].startTime`,
  );
  console.log(`first paint after ${Math.round(paintMs)} ms`);
  assert.ok(paintMs < FIRST_PAINT_MS_MAX, `${paintMs} ms`);
  assert.deepEqual([...hosts], [host]);
}

async function talk({ cluster }: PageTest, page: Page): Promise<void> {
  const expected = await undisturbed(cluster, POEM);
  await go(page, "Chat");
  const answer = await askOnPage(page, POEM);
  assert.equal(onOneLine(await wholeText(answer)), expected);
  assert.match(await answer.locator(".tag.accent").innerText(), /^n[123]$/);
  assert.match(await answer.locator(".origin").innerText(), /tokens\/s · \d+ tokens in .* context/);
  await answer.getByRole("button", { name: "why there?" }).click();
  await answer.getByText(/went to n[123]/).waitFor();
  assert.equal(await answer.locator(".route li").count(), 3);
  await page.reload();
  const kept = page.getByRole("article", { name: "Answer" });
  assert.equal(onOneLine(await wholeText(kept)), expected);
}

async function talkOtherwise({ cluster }: PageTest, page: Page): Promise<void> {
  await page.getByRole("button", { name: "Edit the question" }).click();
  await page.getByLabel("Your question, otherwise").fill("Why is the sky blue?");
  await page.getByRole("button", { name: "Ask again" }).click();
  const answer = page.getByRole("article", { name: "Answer" });
  const sky = await undisturbed(cluster, "Why is the sky blue?");
  await page.getByText("Why is the sky blue?").first().waitFor();
  assert.equal(onOneLine(await wholeText(answer)), sky);
  await answer.getByRole("button", { name: "Answer again" }).click();
  assert.equal(onOneLine(await wholeText(answer)), sky);

  await page.getByRole("button", { name: "New conversation" }).click();
  const others = cluster.names.slice(1);
  const each = (act: string) =>
    Promise.all(
      others.map((name) => cluster.client("n1").ask("POST", `/api/cluster/members/${name}/${act}`)),
    );
  await each("drain");
  const slot = await heldSlot(cluster);
  const stopped = await askOnPage(page, POEM);
  await stopped.getByText("Waiting for the first token").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await stopped.getByText("stopped").waitFor();
  await slot.release();
  await each("undrain");
  await stopped.getByRole("button", { name: "Answer again" }).click();
  assert.equal(onOneLine(await wholeText(stopped)), await undisturbed(cluster, POEM));
}

async function models(page: Page): Promise<void> {
  await using registry = new TestRegistry();
  const name = registry.addModel("pulled", { weights: await readTinyGguf() });
  // The registry of a test speaks no TLS, which only the API may be told.
  await page.route("**/api/pull", (route) =>
    route.continue({
      postData: JSON.stringify({ ...route.request().postDataJSON(), insecure: true }),
    }));
  await go(page, "Models");
  await page.getByLabel("Model to pull").fill(name);
  await page.getByRole("button", { name: "Pull" }).click();
  const pulled = page.getByRole("listitem").filter({ hasText: `pull ${name}` });
  await pulled.getByText("done").first().waitFor();

  await page.getByRole("button", { name: "Make one" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("brief");
  await page.getByLabel("Modelfile").fill("FROM tiny\nSYSTEM You are brief.\n");
  await page.getByRole("button", { name: "Make it" }).click();
  const brief = page.getByRole("article", { name: "brief:latest" });
  await brief.waitFor();
  await brief.getByRole("button", { name: "Show" }).click();
  await page.getByRole("dialog").getByText("You are brief.").first().waitFor();
  await page.keyboard.press("Escape");

  await brief.getByRole("button", { name: "Copy" }).click();
  await page.getByLabel("Its other name").fill("curt");
  await page.getByRole("dialog").getByRole("button", { name: "Copy" }).click();
  const curt = page.getByRole("article", { name: "curt:latest" });
  await curt.waitFor();
  await curt.getByRole("button", { name: "Delete" }).click();
  await confirm(page, "Delete");
  await curt.waitFor({ state: "detached" });
  const row = page.getByRole("region", { name: "Where models lie" }).getByRole("row")
    .filter({ hasText: "brief:latest" });
  await row.getByText("on disk").first().waitFor({ state: "attached" });
}

async function requests({ cluster }: PageTest, page: Page): Promise<void> {
  await go(page, "Requests");
  const done = page.getByRole("row").filter({ hasText: "answered" }).first();
  await done.waitFor();
  await done.getByRole("button", { name: /^Explain/ }).click();
  await page.getByRole("dialog").getByText(/went to n[123]/).waitFor();
  await page.keyboard.press("Escape");

  const slot = await heldSlot(cluster);
  const running = page.getByRole("row").filter({ hasText: "running" }).first();
  await running.waitFor();
  await running.getByRole("button", { name: /^End/ }).click();
  const canceled = page.getByRole("row").filter({ hasText: "canceled" });
  await canceled.filter({ hasText: "/api/generate" }).first().waitFor();
  await slot.release();
}

async function operate({ cluster }: PageTest, page: Page): Promise<void> {
  const tabs = page.getByRole("navigation", { name: "Operations" });
  await go(page, "Operations");
  await page.getByRole("button", { name: "Drain n3" }).click();
  await page.getByRole("row").filter({ hasText: "n3" }).getByText("drained").waitFor();
  await page.getByRole("button", { name: "Undrain n3" }).click();
  await page.getByRole("button", { name: "Drain n3" }).waitFor();

  await tabs.getByRole("link", { name: "Join tokens" }).click();
  await page.getByRole("button", { name: "Make a token" }).click();
  const line = await page.getByRole("dialog").locator("code").innerText();
  assert.match(line, /^ODIST_TOKEN=odist-\S+ odist serve --join 127\.0\.0\.1:\d+$/);
  await page.getByRole("img", { name: /for a camera/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^End token/ }).click();
  await page.getByText("Make a token, and run the line").waitFor();

  await tabs.getByRole("link", { name: "API keys" }).click();
  await page.getByRole("button", { name: "Make a key" }).click();
  await page.getByLabel("What it is for").fill("laptop");
  await page.getByRole("button", { name: "Make it" }).click();
  assert.match(await page.getByRole("dialog").locator("code").innerText(), /^odist-key-/);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "End the key laptop" }).click();
  await confirm(page, "End it");
  await page.getByText("Programs on this machine need none").waitFor();

  await tabs.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Setting", { exact: true }).fill("motto");
  await page.getByLabel("Its value").fill("one of many");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByRole("row").filter({ hasText: "one of many" }).waitFor();
  const { settings } = await cluster.client("n2").ask("GET", "/api/cluster/settings");
  const rows = settings as { readonly key: string; readonly value: string }[];
  assert.equal(rows.find(({ key }) => key === "motto")?.value, "one of many");

  await tabs.getByRole("link", { name: "Changes" }).click();
  await page.getByRole("row").filter({ hasText: "put setting" }).first().waitFor();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save a snapshot" }).click();
  assert.match((await saved).suggestedFilename(), /^[0-9a-f]+\.snapshot$/);

  await tabs.getByRole("link", { name: "Log" }).click();
  await page.getByRole("log", { name: "Lines of the log" }).locator("p").first().waitFor();
}
