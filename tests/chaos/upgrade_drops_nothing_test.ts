import assert from "node:assert/strict";
import { IS_LONG, TestCluster } from "../harness/cluster.ts";
import { EarlierSources } from "../harness/earlier_sources.ts";
import { parseLines } from "../harness/json_lines.ts";

/** Speaks the first version of the hello, and says nothing of others. */
const EARLIER = "ee47d3d6ba40364b0f30a3634e0e50193b2f04c2";
const CLIENTS = 4;
const TOKENS = 160;
const PROMPTS = ["Once upon a time, a fox", "Once upon a time, a bear", "One day, a bird"];

/** People who ask, list and change, at whichever node is not being upgraded. */
class Load {
  readonly failures: string[] = [];
  readonly counts = { answers: 0, moved: 0, lists: 0, writes: 0 };
  readonly #cluster: TestCluster;
  readonly #closed = new Set<string>();
  /** Requests under way, by where they came in. */
  readonly #entered = new Map<string, number>();
  /** Names of nodes that compute answers now which came in elsewhere. */
  readonly #computing: { readonly entry: string; readonly at: string }[] = [];
  #ended = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  begin(): void {
    this.#running = Promise.all(
      Array.from({ length: CLIENTS }, (_, number) => this.#client(number)),
    );
  }

  /** From now on nobody asks there; resolves once nothing that came in there runs. */
  async close(name: string): Promise<void> {
    this.#closed.add(name);
    await this.#cluster.until(
      "nothing that came in there runs",
      () => Promise.resolve((this.#entered.get(name) ?? 0) === 0),
    );
  }

  open(name: string): void {
    this.#closed.delete(name);
  }

  /** Whether a node computes an answer for a client of another one. */
  computes(name: string): boolean {
    return this.#computing.some(({ entry, at }) => at === name && entry !== name);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#running;
  }

  async #client(number: number): Promise<void> {
    for (let turn = number; !this.#ended; turn++) {
      const open = this.#cluster.names.filter((name) => !this.#closed.has(name));
      const entry = open[turn % open.length] ?? "";
      this.#entered.set(entry, (this.#entered.get(entry) ?? 0) + 1);
      try {
        await this.#ask(entry, turn, number);
      } catch (error) {
        this.failures.push(`at ${entry}: ${String(error)}`);
      } finally {
        this.#entered.set(entry, (this.#entered.get(entry) ?? 1) - 1);
      }
    }
  }

  async #ask(entry: string, turn: number, client: number): Promise<void> {
    const node = this.#cluster.client(entry);
    const prompt = PROMPTS[turn % PROMPTS.length] ?? "";
    const requestId = await this.#answer(entry, prompt);
    this.counts.answers++;
    const { routes } = await node.ask("GET", `/api/cluster/explain/${requestId}`);
    if ((routes as readonly unknown[]).length > 1) this.counts.moved++;
    await node.ask("GET", "/api/tags");
    this.counts.lists++;
    // Changes are few: those of people.
    if (turn % 8 !== 0) return;
    await node.ask("POST", "/api/copy", { source: "tiny", destination: `copy-${client}` });
    this.counts.writes++;
  }

  async #answer(entry: string, prompt: string): Promise<string> {
    const options = { temperature: 0, num_predict: TOKENS };
    // Raw: what bounds a template's rendering is not what is looked at, and a busy machine may be slow at it.
    const body = JSON.stringify({ model: "tiny", prompt, raw: true, options });
    const response = await this.#cluster.client(entry).fetch("/api/generate", {
      method: "POST",
      body,
    });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    const row = { entry, at: response.headers.get("x-odist-node") ?? "" };
    this.#computing.push(row);
    try {
      const lines = parseLines(await response.text());
      assert.equal(lines.at(-1)?.["done"], true, `cut short: ${JSON.stringify(lines.at(-1))}`);
      assert.ok(lines.some((line) => line["response"] !== ""), "it says something");
      return response.headers.get("x-request-id") ?? "";
    } finally {
      this.#computing.splice(this.#computing.indexOf(row), 1);
    }
  }
}

Deno.test({
  name:
    "three nodes are upgraded one after the other under load: no request fails, and live answers move",
  ignore: !IS_LONG || Deno.build.os === "windows" || Boolean(Deno.env.get("ODIST_TEST_BINARY")),
  async fn() {
    await using earlier = await EarlierSources.unpack(EARLIER);
    if (earlier === undefined) {
      return console.log("not tried: the repository's history is not here");
    }
    // What is computed on a node that stops moves at once instead of being finished there.
    const environment = { ODIST_DRAIN_TIMEOUT: "0s", ODIST_REPLICATE_AFTER: "1h" };
    await using cluster = await TestCluster.start(3, { sources: earlier.folder, environment });
    const load = new Load(cluster);
    const upgraded = new Set<string>();
    load.begin();
    try {
      for (const name of cluster.names) {
        await load.close(name);
        await cluster.until(
          `${name} computes for others`,
          () => Promise.resolve(load.computes(name)),
        );
        const startedMs = performance.now();
        assert.equal(await cluster.stop(name), 0);
        cluster.client(name).upgrade();
        await cluster.restart(name);
        await cluster.healthy(3, { timeoutMs: 60_000 });
        console.log(`${name} upgraded in ${Math.round(performance.now() - startedMs)} ms`);
        const { connections } = await cluster.client(name).ask("GET", "/api/cluster/connections");
        const rows = connections as readonly { node_id: string; wire: number }[];
        assert.ok(rows.length > 0);
        for (const { node_id, wire } of rows) assert.equal(wire, upgraded.has(node_id) ? 2 : 1);
        upgraded.add((await cluster.status(name)).node_id);
        load.open(name);
      }
    } finally {
      await load.end();
    }
    console.log(JSON.stringify(load.counts));
    assert.deepEqual(load.failures, []);
    assert.ok(load.counts.answers > 0 && load.counts.writes > 0 && load.counts.lists > 0);
    assert.ok(load.counts.moved > 0, "answers that ran on a stopped node went on elsewhere");
  },
});
