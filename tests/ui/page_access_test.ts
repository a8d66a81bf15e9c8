import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { openPage, pageTest } from "../harness/browser.ts";

/** With what a reverse proxy says, a browser on this machine is one on the internet. */
const AFAR = { "x-forwarded-for": "203.0.113.9" };

pageTest(
  "from afar the page asks for a key once, and keeps it for the session",
  { nodes: 1 },
  async (
    { cluster, browser },
  ) => {
    const node = cluster.client("n1");
    const made = await node.ask("POST", "/api/cluster/keys", { scopes: ["use"] });
    const { page, context } = await openPage(browser);
    await context.setExtraHTTPHeaders(AFAR);
    await page.goto(`${node.origin}/ui`);
    const dialog = page.getByRole("dialog", { name: "This needs a key" });
    await dialog.getByText(/odist key create/).waitFor();
    await dialog.getByLabel("API key").fill(String(made.key));
    await dialog.getByRole("button", { name: "Use it" }).click();
    await page.getByRole("button", { name: /^n1: / }).waitFor();
    await page.reload();
    await page.getByRole("button", { name: /^n1: / }).waitFor();
    assert.equal(await dialog.count(), 0);
    // A key may do what its scopes say, and the page says so.
    const views = page.getByRole("navigation", { name: "Views" });
    await views.getByRole("link", { name: "Operations" }).click();
    await page.getByRole("navigation", { name: "Operations" }).getByRole("link", {
      name: "API keys",
    })
      .click();
    await page.getByText(/needs the scope "admin"/).waitFor();
  },
);

pageTest(
  "a link opens the page for one browser, once, and leaves no key behind",
  { nodes: 1 },
  async (
    { cluster, browser },
  ) => {
    const node = cluster.client("n1");
    const made = await node.ask("POST", "/api/cluster/keys", {
      ttl: "5m",
      scopes: ["use", "models", "admin", "join"],
    });
    const link = `${node.origin}/ui#login=${made.key_id}:${made.key}`;
    const visit = async (): Promise<Page> => {
      const { page, context } = await openPage(browser);
      await context.setExtraHTTPHeaders(AFAR);
      await page.goto(link);
      return page;
    };
    const first = await visit();
    await first.getByRole("button", { name: /^n1: / }).waitFor();
    assert.equal(await first.evaluate("location.hash"), "");
    await first.getByRole("button", { name: "Drain" }).click();
    await first.getByText("n1 takes nothing new").waitFor();
    const { keys } = await node.ask("GET", "/api/cluster/keys");
    const ids = (keys as { key_id: string; label: string }[]).map(({ label }) => label);
    assert.deepEqual(ids, ["a browser"]);
    const second = await visit();
    await second.getByRole("dialog", { name: "This needs a key" }).waitFor();
  },
);
