/**
 * Who answers the turns of conversations: a cluster that chooses by itself, nodes that know nothing of each other behind a client
 * that chooses, or llama-server.
 *
 * @module
 */
import { Random } from "../../src/base/mod.ts";
import { type ClusterOptions, TestCluster } from "../../tests/harness/cluster.ts";
import { ensureLlamaServer } from "../comparing/assets.ts";
import { llamaServerCommand, startServer } from "../measuring/servers.ts";
import { createModel, uploadModel } from "../measuring/setup.ts";
import type { Asked, Balancer, Message } from "./talk.ts";

/** How a client chooses among nodes of its own. `oracle` knows what each holds, and takes the one that computes least. */
export const CHOICES = ["oracle", "random", "round robin", "least loaded"] as const;
export type Choice = typeof CHOICES[number];

const SLOTS = 2;
const CACHE_RAM_MIB = 1_024;
/** Until all nodes have the models. */
const SETTLE_MS_MAX = 180_000;
const VICTIM = 1;

/** Two files of weights, which are the same but for a letter of their name. */
export interface BenchModels {
  readonly names: readonly string[];
  readonly paths: readonly string[];
  readonly contextTokens: number;
}

function optionsOf(nodes: number, { contextTokens }: BenchModels): ClusterOptions {
  return {
    isDirect: true,
    environment: {
      ODIST_SLOTS: String(SLOTS),
      ODIST_CONTEXT: String(contextTokens),
      ODIST_REPLICAS: String(Math.min(nodes, 5)),
      ODIST_REPLICATE_AFTER: "0s",
    },
  };
}

async function fill(cluster: TestCluster, { names, paths }: BenchModels): Promise<void> {
  for (const [at, name] of names.entries()) {
    // Who has the bytes fetches none: what is measured begins sooner.
    for (const node of cluster.names) {
      await uploadModel(cluster.client(node).origin, paths[at] ?? "");
    }
    await createModel(cluster.client("n1").origin, { name, path: paths[at] ?? "" });
  }
  const isEverywhere = async (name: string) => {
    const placed = await cluster.client(name).ask("GET", "/api/cluster/placement");
    const models = placed.models as { readonly name: string; readonly nodes: readonly string[] }[];
    return names.every((model) =>
      models.find((one) => one.name === `${model}:latest`)?.nodes.length === cluster.names.length
    );
  };
  await cluster.until("all nodes have the models, and know it of each other", async () => {
    const known = await Promise.all(cluster.names.map(isEverywhere));
    return known.every((is) => is);
  }, SETTLE_MS_MAX);
}

/** A cluster, whose nodes clients ask in turn. */
export async function startCluster(
  nodes: number,
  models: BenchModels,
): Promise<Balancer & AsyncDisposable> {
  const cluster = await TestCluster.start(nodes, optionsOf(nodes, models));
  await fill(cluster, models);
  let next = 0;
  const victim = cluster.names[VICTIM];
  return {
    models: models.names,
    choose: () => {
      const { running } = cluster;
      const { origin } = cluster.client(running[next++ % running.length] ?? "n1");
      return { origin, answered() {} };
    },
    async strike(what) {
      if (victim === undefined) return;
      if (what === "kill") return await cluster.kill(victim);
      await cluster.restart(victim);
      await cluster.healthy(nodes, { timeoutMs: SETTLE_MS_MAX });
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

/** A node of its own, and what the client knows of it. */
interface LoneNode {
  readonly cluster: TestCluster;
  /** By model, what it has computed: conversations as one text. */
  computed: readonly (readonly string[])[];
  inFlight: number;
}

/** Nodes that know nothing of each other. */
export async function startLoneNodes(
  nodes: number,
  models: BenchModels,
  choice: Choice,
): Promise<Balancer & AsyncDisposable> {
  await using starting = new AsyncDisposableStack();
  const all: LoneNode[] = [];
  for (let index = 0; index < nodes; index++) {
    const cluster = starting.use(await TestCluster.start(1, optionsOf(1, models)));
    await fill(cluster, models);
    all.push({ cluster, computed: models.names.map(() => []), inFlight: 0 });
  }
  const held = starting.move();
  const random = new Random(1);
  let next = 0;
  const pick = (model: number, prompt: string): LoneNode | undefined => {
    const open = all.filter(({ cluster }) => cluster.running.length > 0);
    const least = (costOf: (node: LoneNode) => number) => {
      const costs = open.map(costOf);
      const best = open.filter((_, at) => costs[at] === Math.min(...costs));
      return best[random.below(best.length)];
    };
    switch (choice) {
      case "random":
        return open[random.below(open.length)];
      case "round robin":
        return open[next++ % open.length];
      case "least loaded":
        return least(({ inFlight }) => inFlight);
      case "oracle": {
        const heldBy = ({ computed }: LoneNode) =>
          Math.max(0, ...(computed[model] ?? []).map((text) => commonChars(text, prompt)));
        return least((node) => -heldBy(node) + node.inFlight / 1_000);
      }
    }
  };
  return {
    models: models.names,
    choose(model, messages): Asked {
      const node = pick(model, textOf(messages));
      if (node === undefined) throw new Error("No node runs");
      node.inFlight++;
      return {
        origin: node.cluster.client("n1").origin,
        answered(said) {
          node.inFlight--;
          node.computed = node.computed.map((texts, of) =>
            of === model ? [...texts, textOf(said)] : texts
          );
        },
      };
    },
    async strike(what) {
      const victim = all[VICTIM];
      if (victim === undefined) return;
      if (what === "restart") return await victim.cluster.restart("n1");
      await victim.cluster.kill("n1");
      victim.computed = models.names.map(() => []);
    },
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  };
}

/** One llama-server for each model, with its cache of prompts in memory. */
export async function startLlamaServers(
  models: BenchModels,
): Promise<Balancer & AsyncDisposable> {
  const binary = await ensureLlamaServer();
  await using starting = new AsyncDisposableStack();
  const origins: string[] = [];
  for (const modelPath of models.paths) {
    const logPath = await Deno.makeTempFile({ prefix: "llama-server-", suffix: ".log" });
    starting.defer(() => Deno.remove(logPath));
    const command = llamaServerCommand({
      ...{
        binary,
        modelPath,
        logPath,
        slots: SLOTS,
        contextTokens: models.contextTokens,
        threads: 1,
      },
      cacheRamMiB: CACHE_RAM_MIB,
    });
    origins.push(starting.use(await startServer(command)).origin);
  }
  const held = starting.move();
  return {
    models: models.names,
    choose: (model) => ({ origin: origins[model] ?? "", answered() {} }),
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  };
}

function textOf(messages: readonly Message[]): string {
  return messages.map(({ role, content }) => `${role}\n${content}\n`).join("");
}

function commonChars(one: string, other: string): number {
  const most = Math.min(one.length, other.length);
  let at = 0;
  while (at < most && one[at] === other[at]) at++;
  return at;
}
