import assert from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { type Look, LOOKS, type PageTest, pageTest } from "../harness/browser.ts";
import { askOnPage, POEM, wholeText } from "../harness/page_talk.ts";

const VIEWS = [
  "cluster",
  "chat",
  "models",
  "requests",
  "operations/members",
  "operations/tokens",
  "operations/keys",
  "operations/changes",
  "operations/incidents",
  "operations/logs",
];

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** What keeps people out, in a line each. */
async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResult>("axe.run(document)");
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary}`)
    );
}

/** Pixels that stand out of the page to the right: on a phone nobody finds them. */
async function overhang(page: Page): Promise<number> {
  return await page.evaluate<number>(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
}

pageTest("every view is fit for eyes, hands and screen readers, wide and on a phone", {
  nodes: 3,
}, async (test, t) => {
  for (const look of LOOKS) {
    await t.step(`${look.theme}, ${look.size}`, () => inspect(test, look));
  }
  await t.step("by keys alone", () => byKeys(test));
});

async function inspect({ open }: PageTest, look: Look): Promise<void> {
  const page = await open("n1", look);
  await page.getByRole("link", { name: "Chat" }).click();
  await wholeText(await askOnPage(page, POEM));
  const faults: string[] = [];
  for (const view of VIEWS) {
    await page.evaluate(`location.hash = "${view}"`);
    await page.locator(".empty", { hasText: "Asking…" }).waitFor({ state: "detached" });
    faults.push(...(await seriousFaults(page)).map((fault) => `${view}: ${fault}`));
    const pixels = await overhang(page);
    if (pixels > 0) faults.push(`${view}: ${pixels} pixels stand out`);
  }
  assert.deepEqual(faults, []);
  await page.close();
}

/** From the top of the page to a node and to another view, without a mouse. */
async function byKeys({ open }: PageTest): Promise<void> {
  const page = await open("n1");
  await page.getByRole("button", { name: /^n2: / }).waitFor();
  const focused = () =>
    page.evaluate<string>(
      "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent",
    );
  const tabTo = async (pattern: RegExp) => {
    for (let presses = 0; presses < 40; presses++) {
      await page.keyboard.press("Tab");
      if (pattern.test(await focused())) return;
    }
    assert.fail(`no way by Tab to ${pattern}`);
  };
  await tabTo(/^Skip to the content/);
  await tabTo(/^n2: /);
  await page.keyboard.press("Enter");
  await page.locator(".node-card.chosen", { hasText: "n2" }).waitFor();
  await page.reload();
  await tabTo(/^Requests/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Requests", level: 1 }).waitFor();
}
