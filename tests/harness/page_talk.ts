/**
 * Talking on the page, as people do.
 *
 * @module
 */
import type { Locator, Page } from "playwright-core";
import type { TestCluster } from "./cluster.ts";

/**
 * A question whose answer takes a while, and is the same wherever it is computed: no token of it has a rival nearby. A story
 * would have several.
 */
export const POEM = "Write a poem.";

/** Types a question and sends it; returns the article that its answer comes to stand in. */
export async function askOnPage(page: Page, question: string): Promise<Locator> {
  const answers = page.getByRole("article", { name: "Answer" });
  const before = await answers.count();
  await page.getByLabel("Your question", { exact: true }).fill(question);
  await page.getByRole("button", { name: "Send" }).click();
  return answers.nth(before);
}

/** The answer's own text, once it is whole. */
export async function wholeText(answer: Locator): Promise<string> {
  await answer.and(answer.page().locator(".done")).waitFor();
  return await answer.locator(":scope > .markdown").innerText();
}

/** What the model answers where nothing happens, as one line. */
export async function undisturbed(cluster: TestCluster, question: string): Promise<string> {
  const [node = ""] = cluster.running;
  const { message } = await cluster.client(node).ask("POST", "/api/chat", {
    model: "tiny",
    messages: [{ role: "user", content: question }],
    stream: false,
  });
  return onOneLine(String((message as { content: string }).content));
}

/** As a browser lays it out, line breaks apart. */
export function onOneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** Resolves as soon as the last answer has begun, long before a poll would see it, or when it is over already. */
export async function firstToken(page: Page): Promise<void> {
  await page.evaluate(`new Promise((resolve) => {
    const look = () => {
      const last = [...document.querySelectorAll(".answered")].at(-1);
      const text = last?.querySelector(":scope > .markdown")?.textContent ?? "";
      if (text.length < 4 && last?.classList.contains("running") !== false) return;
      observer.disconnect();
      resolve();
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
    look();
  })`);
}

/** An answer that has not begun by then never will. */
const BEGIN_MS_MAX = 60_000;
/** What a model is held to so that its answer takes a while: a list of lists of numbers. */
const LONG_LIST_SPAN = { minItems: 200, maxItems: 200 };
const LONG_LIST = { type: "array", items: { type: "integer" }, ...LONG_LIST_SPAN };

/** What is answered for minutes. */
export const LONG_REQUEST = {
  model: "tiny",
  prompt: "a",
  raw: true,
  format: { type: "array", items: LONG_LIST, ...LONG_LIST_SPAN },
  options: { num_predict: 100_000 },
};

/** A slot is taken by an answer that nobody reads, until it is released. */
export async function heldSlot(
  cluster: TestCluster,
): Promise<{ release(): Promise<void> }> {
  const [node = ""] = cluster.running;
  const answer = await cluster.client(node).fetch("/api/generate", {
    method: "POST",
    signal: AbortSignal.timeout(BEGIN_MS_MAX),
    body: JSON.stringify(LONG_REQUEST),
  });
  return { release: async () => await answer.body?.cancel() };
}
