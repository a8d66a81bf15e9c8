/**
 * A laptop on a train, on real processes: of three nodes one is cut off, twenty models are created, pulled and copied on it and
 * twenty at home, eight of them of the same name. After the reunion all agree, nothing is lost, each conflict is told once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, IS_LONG, lasting, type TestCluster } from "../harness/cluster.ts";
import { llamaFile } from "../harness/gguf_file.ts";
import { TestRegistry } from "../harness/registry.ts";

/** How long it is away. Milliseconds. */
const AWAY_MS = IS_LONG ? 180_000 : 20_000;
const CHANGES = 20;
const CONFLICTS = 8;
const MERGE_MS_MAX = 60_000;

interface Listed {
  readonly name: string;
  readonly digest: string;
  readonly local?: boolean;
}

async function listed(cluster: TestCluster, name: string): Promise<readonly Listed[]> {
  const { models } = await cluster.client(name).ask("GET", "/api/tags");
  assert.ok(Array.isArray(models));
  return models;
}

async function create(cluster: TestCluster, name: string, model: string): Promise<void> {
  const body = { model, from: "tiny", system: `${model} of ${name}.` };
  const lines = await cluster.client(name).lines("/api/create", body);
  assert.equal(lines.at(-1)?.status, "success", JSON.stringify(lines));
}

/** What lies under a name, by its manifest. */
type Made = Map<string, string>;

async function note(cluster: TestCluster, name: string, model: string, made: Made): Promise<void> {
  const models = await listed(cluster, name);
  const found = models.find((one) => one.name === model || one.name === `${model}:latest`);
  assert.ok(found !== undefined, `${name} lacks ${model}`);
  made.set(found.name, found.digest);
}

/** One change in three is a pull from a registry, one a copy of what was made last. */
async function change(
  cluster: TestCluster,
  by: { readonly name: string; readonly registry: TestRegistry; readonly made: Made },
  wished: { readonly at: number; readonly model: string },
): Promise<void> {
  const { name, registry, made } = by;
  const { at, model } = wished;
  const client = cluster.client(name);
  if (at < CONFLICTS || at % 3 === 0) {
    await create(cluster, name, model);
    return await note(cluster, name, model, made);
  }
  if (at % 3 === 1) {
    const weights = llamaFile() as Uint8Array<ArrayBuffer>;
    const pulled = registry.addModel(model, { weights, system: model });
    const lines = await client.lines("/api/pull", { model: pulled, insecure: true });
    assert.equal(lines.at(-1)?.status, "success", JSON.stringify(lines));
    return await note(cluster, name, pulled, made);
  }
  const [source = "tiny"] = [...made.keys()].slice(-1);
  await client.ask("POST", "/api/copy", { source, destination: model });
  await note(cluster, name, model, made);
}

async function changes(
  cluster: TestCluster,
  by: { readonly name: string; readonly registry: TestRegistry; readonly made: Made },
  untilMs: number,
): Promise<void> {
  const gapMs = (untilMs - performance.now()) / CHANGES / 2;
  for (let at = 0; at < CHANGES; at++) {
    const model = at < CONFLICTS ? `both${at}` : `${by.name}_${at}`;
    await change(cluster, by, { at, model });
    await lasting(Math.max(0, gapMs));
  }
}

clusterTest(
  `one of three nodes is away for ${
    AWAY_MS / 1_000
  } s: what was made on both sides is merged, and each conflict told once`,
  { nodes: 3, environment: { ODIST_REPLICATE_AFTER: "0s" } },
  async (cluster) => {
    await using registry = new TestRegistry();
    const leader = await cluster.leader();
    const [home = "", traveller = ""] = cluster.names.filter((name) => name !== leader);
    await cluster.until("the traveller holds tiny", async () => {
      const body = { model: "tiny", prompt: "", stream: false };
      const answer = await cluster.client(traveller).request("POST", "/api/generate", { body });
      return answer.headers.get("x-odist-node") === traveller;
    });
    cluster.isolate(traveller);
    const [away, there]: [Made, Made] = [new Map(), new Map()];
    const untilMs = performance.now() + AWAY_MS;
    await Promise.all([
      changes(cluster, { name: traveller, registry, made: away }, untilMs),
      changes(cluster, { name: home, registry, made: there }, untilMs),
    ]);
    for (const model of await listed(cluster, traveller)) {
      assert.equal(model.local === true, away.has(model.name), `${model.name} away from home`);
    }
    await lasting(Math.max(0, untilMs - performance.now()));
    cluster.heal();

    const shared = new Map([...away, ...there]);
    for (const name of cluster.names) {
      const wanted = new Map(shared);
      if (name === traveller) {
        for (let at = 0; at < CONFLICTS; at++) {
          wanted.set(`both${at}:latest@${traveller}`, away.get(`both${at}:latest`) ?? "");
        }
      }
      let found: Made = new Map();
      const isMerged = async () => {
        const models = (await listed(cluster, name)).filter((one) => one.name !== "tiny:latest");
        found = new Map(models.map((one) => [one.name, one.digest]));
        return [...found].sort().join() === [...wanted].sort().join();
      };
      await cluster.until(`${name} lists all`, isMerged, MERGE_MS_MAX).catch((cause) => {
        assert.deepEqual([...found].sort(), [...wanted].sort(), `${name}: ${String(cause)}`);
      });
    }
    await cluster.healthy(3);
    const told = cluster.client(traveller).printed.match(/local_model_kept/g)?.length;
    assert.equal(told, CONFLICTS, "each conflict is told once");
    const statuses = await Promise.all(cluster.names.map((name) => cluster.status(name)));
    assert.equal(new Set(statuses.map(({ state_hash }) => state_hash)).size, 1);
  },
);
