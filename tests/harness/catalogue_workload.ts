/**
 * Concurrent clients on the catalogue of a real cluster, and whether what they saw could have happened on one machine.
 *
 * @module
 */
import { join } from "node:path";
import { mixSeed, Random } from "../../src/base/mod.ts";
import {
  checkLinearizable,
  type Operation,
  type Specification,
  type Verdict,
} from "../sim/checkers/linearizability.ts";
import type { TestCluster } from "./cluster.ts";

/** Longer than a node itself waits for a quorum; after it a client gives up without knowing. */
const OPERATION_TIMEOUT_MS = 8_000;
/** A node that is down refuses at once; its clients must not spin. */
const FAILED_PAUSE_MS = 20;

/** A setting's value is written (undefined: taken away) or read. */
export type SettingInput =
  | { readonly kind: "write"; readonly value: string | undefined }
  | { readonly kind: "read" };

/** An operation, and the node that was asked. */
type SeenOperation = Operation<SettingInput, string> & { readonly node: string };

/** What a setting that is not there reads as: the checker takes an undefined output for an unknown one. */
const ABSENT = "(absent)";
/** What an acknowledged write tells. */
const WRITTEN = "(written)";

/** One setting as one machine would keep it. */
const REGISTER: Specification<string, SettingInput, string> = {
  initial: ABSENT,
  step(state, input, output) {
    if (input.kind === "write") return input.value ?? ABSENT;
    return output === state ? state : undefined;
  },
  describe: (state) => state,
};

/** How much is asked at once. */
export interface WorkloadOptions {
  readonly seed: number;
  readonly clients: number;
  readonly keys: number;
  /** How often a write that failed is sent again, to another node. Default 0. */
  readonly retries?: number;
}

/** Clients that write, delete and read settings on whichever node runs, one operation after the other each. */
export class CatalogueWorkload {
  readonly #cluster: TestCluster;
  readonly #options: WorkloadOptions;
  readonly #history: SeenOperation[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  /** When each acknowledged write returned, in milliseconds of `performance.now()`. */
  readonly acknowledgedAtMs: number[] = [];
  /** Writes that were not acknowledged, retries included: refused, or nobody knows. */
  failedWrites = 0;
  #written = 0;

  /** Starts at once. */
  constructor(cluster: TestCluster, options: WorkloadOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#running = Promise.all(
      Array.from({ length: options.clients }, (_, index) => this.#client(index)),
    );
  }

  /** Resolves with the time of the first write that was sent after `sinceMs` and acknowledged. */
  async acknowledgedSince(sinceMs: number): Promise<number> {
    return await this.#cluster.until("a write is acknowledged", () => {
      const found = this.#history.find(({ input, invokedAt, outcome }) =>
        input.kind === "write" && invokedAt >= sinceMs && outcome !== undefined
      );
      return Promise.resolve(found?.outcome?.returnedAt);
    });
  }

  /** Ends the clients, reads every key once more and judges all of it. */
  async finish(): Promise<{ readonly verdict: Verdict; readonly operations: number }> {
    this.#stop.abort();
    await this.#running;
    const [first = ""] = this.#cluster.running;
    for (let key = 0; key < this.#options.keys; key++) await this.#read(first, nameOf(key));
    const verdict = checkLinearizable(this.#history, REGISTER);
    if (verdict.kind === "violation") await this.#keep(verdict.key);
    return { verdict, operations: this.#history.length };
  }

  /** What a key's clients saw, in order, among the artifacts. */
  async #keep(key: string): Promise<void> {
    const lines = this.#history.filter((operation) => operation.key === key)
      .sort((a, b) => a.invokedAt - b.invokedAt)
      .map((operation) => JSON.stringify(operation));
    const folder = join(Deno.env.get("ODIST_TEST_ARTIFACTS_DIR") || "test-artifacts", "clusters");
    await Deno.mkdir(folder, { recursive: true });
    const path = join(folder, `history_${Deno.pid}_${Date.now()}.jsonl`);
    await Deno.writeTextFile(path, `${lines.join("\n")}\n`);
    console.log(`What the clients of ${key} saw is in ${path}`);
  }

  async #client(index: number): Promise<void> {
    const random = new Random(mixSeed(this.#options.seed, index));
    while (!this.#stop.signal.aborted) {
      const node = random.pick(this.#cluster.running);
      if (node === undefined) return;
      const key = nameOf(random.below(this.#options.keys));
      if (random.chance(1, 3)) await this.#read(node, key);
      else await this.#write({ key, deletes: random.chance(1, 8), random });
    }
  }

  async #write(
    wish: { readonly key: string; readonly deletes: boolean; readonly random: Random },
  ): Promise<void> {
    const { key, deletes, random } = wish;
    // Every value is one write's, so that a read tells which write it saw.
    const value = deletes ? undefined : `v${++this.#written}`;
    for (let attempt = 0; attempt <= (this.#options.retries ?? 0); attempt++) {
      const node = random.pick(this.#cluster.running);
      if (node === undefined || await this.#tryWrite(node, { key, value })) return;
    }
    this.failedWrites++;
  }

  /** Whether the node said that it is done. */
  async #tryWrite(
    node: string,
    wish: { readonly key: string; readonly value: string | undefined },
  ): Promise<boolean> {
    const { key, value } = wish;
    const deletes = value === undefined;
    const path = `/api/cluster/settings/${key}`;
    const invokedAt = performance.now();
    const status = await this.#send(node, deletes ? "DELETE" : "PUT", { path, body: { value } });
    const returnedAt = performance.now();
    const operation = { key, node, input: { kind: "write", value } as const, invokedAt };
    // A setting that is not there can't be deleted: the refusal says what a read would have said.
    if (status === 200) {
      this.#history.push({ ...operation, outcome: { output: WRITTEN, returnedAt } });
      this.acknowledgedAtMs.push(returnedAt);
      return true;
    }
    if (deletes && status === 404) {
      const input = { kind: "read" } as const;
      this.#history.push({ key, node, input, invokedAt, outcome: { output: ABSENT, returnedAt } });
      return true;
    }
    // It may still happen, even where the connection was refused: fetch sends a request again on a second connection.
    this.#history.push(operation);
    if (status === "unknown") await new Promise((resolve) => setTimeout(resolve, FAILED_PAUSE_MS));
    return false;
  }

  async #read(node: string, key: string): Promise<void> {
    const invokedAt = performance.now();
    const client = this.#cluster.client(node);
    try {
      const signal = AbortSignal.timeout(OPERATION_TIMEOUT_MS);
      const answer = await client.request("GET", "/api/cluster/settings", { signal });
      const returnedAt = performance.now();
      if (answer.status !== 200) return;
      const rows = answer.body.settings as readonly { key: string; value: string }[];
      const output = rows.find((row) => row.key === key)?.value ?? ABSENT;
      const input = { kind: "read" } as const;
      this.#history.push({ key, node, input, invokedAt, outcome: { output, returnedAt } });
    } catch {
      // A read that failed tells nothing.
      await new Promise((resolve) => setTimeout(resolve, FAILED_PAUSE_MS));
    }
  }

  async #send(
    node: string,
    method: string,
    request: { readonly path: string; readonly body: unknown },
  ): Promise<number | "unknown"> {
    try {
      const signal = AbortSignal.timeout(OPERATION_TIMEOUT_MS);
      const { path, body } = request;
      return (await this.#cluster.client(node).request(method, path, { body, signal })).status;
    } catch {
      return "unknown";
    }
  }
}

function nameOf(key: number): string {
  return `workload.${key}`;
}
