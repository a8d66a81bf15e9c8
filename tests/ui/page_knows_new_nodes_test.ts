import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { pageTest } from "../harness/browser.ts";

const ORIGINS = "document.querySelector('meta[name=odist-nodes]').content.split(' ')";

/** Resolves once the shown document allows so many nodes, however often it is loaded meanwhile. */
async function allows(page: Page, count: number): Promise<void> {
  for (;;) {
    const isThere = await page.evaluate<boolean>(`${ORIGINS}.length === ${count}`)
      .catch(() => false);
    if (isThere) return;
    await page.waitForEvent("load");
  }
}

pageTest(
  "a page goes on with nodes that joined after it was opened, and loses nothing that is typed",
  {
    nodes: 1,
  },
  async ({ cluster, open }) => {
    const page = await open("n1");
    await page.getByText("healthy").waitFor();
    await allows(page, 1);
    const typing = await open("n1");
    await typing.getByRole("link", { name: "Chat" }).click();
    const question = typing.getByLabel("Your question", { exact: true });
    await question.fill("Why is");

    await cluster.join();
    await cluster.join();
    await cluster.healthy(3);
    await allows(page, 3);
    await page.evaluate(`location.hash = "operations/events"`);
    for (const name of ["n2", "n3"]) await page.getByText(`${name} joined`).waitFor();
    assert.equal(await question.inputValue(), "Why is");
    assert.equal(await typing.evaluate(`${ORIGINS}.length`), 1);
    await question.fill("");
    await allows(typing, 3);

    await cluster.kill("n1");
    for (const one of [page, typing]) {
      await one.getByText(/this page's node is gone: now via n[23]/).waitFor();
    }
  },
);
