/**
 * A real browser for tests of the page: the Chromium that is installed here, without a window.
 *
 * @module
 */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

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
