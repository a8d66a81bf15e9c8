import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { type PageTest, pageTest } from "../harness/browser.ts";
import { scriptedIncident } from "../harness/saved_incidents.ts";

pageTest(
  "an incident is saved and stepped through on the page, and one that is decided otherwise is named",
  { nodes: 3 },
  async ({ cluster, open }: PageTest) => {
    const leader = await cluster.leader();
    const [entry = ""] = cluster.names.filter((name) => name !== leader);
    const page = await open(entry);
    await cluster.kill(leader);
    const next = await cluster.leader();
    await cluster.until("its death is known", async () => {
      const { members } = await cluster.status(entry);
      return members.some(({ name, health }) => name === leader && health === "down");
    });
    await page.evaluate(`location.hash = "operations/incidents"`);
    await page.getByText("Save one, or open a file").waitFor();

    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save an incident" }).click();
    const saved = await coming;
    assert.match(saved.suggestedFilename(), /^[0-9a-f]+\.incident$/);
    await page.getByText(/[1-9]\d* steps, each decided as recorded/).waitFor();
    const timeline = page.getByRole("region", { name: "Timeline" });
    const row = (text: string) => timeline.getByRole("row").filter({ hasText: text }).first();
    await row(`${next} leads`).getByText("election").waitFor();
    await row(`${entry} takes ${leader} to be dead`).getByText("death").waitFor();
    await page.getByLabel("What is shown").selectOption("raft");
    await row(`${next} leads`).waitFor();
    assert.equal(await timeline.getByRole("row").filter({ hasText: "membership" }).count(), 0);
    await page.getByLabel("What is shown").selectOption("all");
    await page.getByLabel("Steps with").fill("probe_failed");
    await row("probe_failed").waitFor();

    // The file that was saved is one that the command line takes, too.
    const bytes = await readFile(await saved.path());
    await openFile(page, "again.incident", bytes);
    await page.getByText("again.incident").waitFor();
    await page.getByText(/[1-9]\d* steps, each decided as recorded/).waitFor();

    const other = Buffer.from(await scriptedIncident({ queueRequestsMax: 2 }));
    await openFile(page, "other.incident", other);
    await page.getByText("step 2: the scheduler of ada decides otherwise").waitFor();
    await page.getByText(/decided now: .*refuse_request/).waitFor();
    await page.getByText("bob told nothing: gone").waitFor();
    await openFile(page, "none.incident", Buffer.from("nothing of the kind"));
    await page.getByText(/no recording of an incident/).waitFor();
  },
);

async function openFile(page: Page, name: string, buffer: Buffer): Promise<void> {
  const file = { name, mimeType: "application/octet-stream", buffer };
  await page.getByLabel("Open a file").setInputFiles(file);
}
