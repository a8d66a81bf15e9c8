/**
 * A real browser for tests of the page: the Chromium that is installed here, without a window.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { buildPage } from "../../scripts/packaging/page.ts";
import { TestCluster } from "./cluster.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where systems put it; `ODIST_TEST_CHROMIUM` says where else. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The browser's program; undefined where there is none. */
export function findChromium(): string | undefined {
  const named = Deno.env.get("ODIST_TEST_CHROMIUM");
  return (named === undefined ? PLACES : [named]).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** Starts it. @throws Error where there is none. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("No Chromium is installed");
  // The sandbox wants a user that is not root; the pages are this program's own.
  const args = Deno.uid() === 0 ? ["--no-sandbox"] : [];
  return await chromium.launch({ executablePath, args });
}

/** How a page is looked at. */
export interface Look {
  readonly theme: "light" | "dark";
  readonly size: "wide" | "phone";
}

/** Each of them. */
export const LOOKS: readonly Look[] = [
  { theme: "light", size: "wide" },
  { theme: "dark", size: "wide" },
  { theme: "light", size: "phone" },
  { theme: "dark", size: "phone" },
];

const SIZES = {
  wide: { width: 1_280, height: 860 },
  phone: { width: 390, height: 844 },
};

/** A page of its own, with nothing kept of others; what its scripts complain about is in `faults`. */
export async function openPage(
  browser: Browser,
  look: Look = { theme: "light", size: "wide" },
): Promise<{ readonly page: Page; readonly context: BrowserContext; readonly faults: string[] }> {
  const context = await browser.newContext({
    colorScheme: look.theme,
    viewport: SIZES[look.size],
    deviceScaleFactor: 1,
    locale: "en-GB",
    timezoneId: "UTC",
    hasTouch: look.size === "phone",
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.stack ?? error.message));
  page.on("console", (message) => {
    // A refused connection is what a dead node is to a browser.
    const text = message.text();
    if (message.type() === "error" && !/net::ERR_|status of \d{3}/.test(text)) faults.push(text);
  });
  return { page, context, faults };
}

/** What a test of the page works with. */
export interface PageTest {
  readonly cluster: TestCluster;
  readonly browser: Browser;
  /** Opens the page of a node; what its scripts complain about fails the test. */
  open(node: string, look?: Look): Promise<Page>;
}

/** A test with a cluster and a browser of its own, left out where no browser is. */
export function pageTest(
  name: string,
  setting: { readonly nodes: number },
  body: (test: PageTest, context: Deno.TestContext) => Promise<void>,
): void {
  const isThere = findChromium() !== undefined;
  const why = isThere ? "" : " (left out: no Chromium is installed)";
  // The browser's pipes are its library's, and closed with it.
  const sanitize = { sanitizeResources: false, sanitizeOps: false };
  Deno.test({ name: `${name}${why}`, ignore: !isThere, ...sanitize }, async (context) => {
    await buildPage(ROOT);
    await using cluster = await TestCluster.start(setting.nodes);
    const browser = await openBrowser();
    const opened: Awaited<ReturnType<typeof openPage>>[] = [];
    const open = async (node: string, look?: Look) => {
      const made = await openPage(browser, look);
      opened.push(made);
      await made.page.goto(`${cluster.client(node).origin}/ui`);
      return made.page;
    };
    try {
      await body({ cluster, browser, open }, context);
      assert.deepEqual(opened.flatMap(({ faults }) => faults), []);
    } catch (error) {
      const folder = await cluster.collect(name);
      for (const [index, { page }] of opened.entries()) {
        await page.screenshot({ path: `${folder}/page-${index}.png` }).catch(() => {});
      }
      throw new Error(`The logs are in ${folder}: ${String(error)}`, { cause: error });
    } finally {
      await browser.close();
    }
  });
}
