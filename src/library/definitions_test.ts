import assert from "node:assert/strict";
import { type NodeId, RequestError, UnavailableError } from "../base/mod.ts";
import type { ModelDefinition } from "../models/mod.ts";
import { detailsOf } from "../models/stored/model_config.ts";
import type { CatalogEntry } from "../ports/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { packModel } from "../../tests/harness/packed_model.ts";
import { streamPair } from "../../tests/harness/peer_streams.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { scriptedDefinition } from "../../tests/harness/scripted_engine.ts";
import { MessageStream } from "../calls/message_stream.ts";
import { StreamRouter } from "../calls/stream_router.ts";
import { ClusterDefinitions, findOwnDefinition } from "./cluster_definitions.ts";
import { describeServer } from "./describe.ts";
import type { Holder } from "./holders.ts";

const SELF = "1".repeat(16) as NodeId;
const DEFINITION: ModelDefinition = {
  ...scriptedDefinition(),
  adapterPaths: ["/a.gguf"],
  projectorPath: "/p.gguf",
  messages: [{ role: "user", content: "hi" }],
  parameters: { stop: ["x"], temperature: 0, numCtx: 99 },
};
const PACKED = packModel(DEFINITION);
/** What is left of it on another node. */
const DESCRIBED = {
  ...DEFINITION,
  modelPath: "",
  adapterPaths: [],
  projectorPath: undefined,
  details: detailsOf(DEFINITION.config, DEFINITION.facts),
};
const MISSING = new UnavailableError("load_failed", "a blob is missing");

function holder(digit: string, changes: Partial<Holder> = {}): Holder {
  const nodeId = digit.repeat(16) as NodeId;
  const known = { name: `n${digit}`, address: "x:1", health: "alive", drained: false } as const;
  return { nodeId, load: undefined, ...known, ...changes };
}

type Answer = "definition" | "lie" | "part" | "unknown" | "silence" | "nonsense";
const TRAITS = {
  kind: "jinja",
  capabilities: { tools: true, thinking: true, insert: true },
  toolCallTag: "",
} as const;
/** What a liar says of the model, and with which contents. */
const LIE: ModelDefinition = {
  ...DEFINITION,
  weightsBytes: 1,
  system: "be cruel",
  template: {
    goTemplate: "{{ .Secret }}",
    inspected: { traits: TRAITS, failure: "a made-up failure" },
  },
  parameters: { temperature: 2 },
  messages: [],
};

/** A node that lacks the model, and what each other node answers to a question. */
function stage(answers: Record<string, Answer>) {
  const clock = new HandClock();
  const telemetry = new RecordingTelemetry();
  const asked: string[] = [];
  const looks = { count: 0 };
  const state = {
    holders: Object.keys(answers).map((digit) => holder(digit)),
    failure: MISSING as Error | undefined,
    manifestDigest: DEFINITION.manifestDigest,
    modifiedAtMs: -3_600_000,
    standing: "stale" as "current" | "stale" | "never",
    catchesUp: 0,
    away: [] as string[],
  };
  const definitions = new ClusterDefinitions({
    clock,
    log: telemetry,
    holders: () => state.holders,
    catchUp: () => {
      state.catchesUp++;
      if (state.standing === "current") state.failure = undefined;
      return Promise.resolve(state.standing);
    },
    away: () => ({ holders: state.away, others: [] }),
    models: {
      isWholeHere: () => Promise.resolve(false),
      find: () => {
        const { name } = DEFINITION;
        const { manifestDigest, modifiedAtMs } = state;
        const entry: Partial<CatalogEntry> = {
          name,
          manifestDigest,
          modifiedAtMs,
          manifest: PACKED.manifest,
        };
        return Promise.resolve(entry as CatalogEntry);
      },
      getDefinition: () => {
        looks.count++;
        return state.failure === undefined
          ? Promise.resolve(DEFINITION)
          : Promise.reject(state.failure);
      },
    },
    transport: {
      openStream: (peer) => {
        const digit = peer.nodeId.charAt(0);
        asked.push(digit);
        const pair = streamPair(SELF, peer.nodeId);
        const router = new StreamRouter({ clock, log: telemetry, metrics: telemetry });
        const answer = answers[digit];
        if (answer !== "silence" && answer !== "nonsense") {
          const found = answer === "unknown"
            ? undefined
            : answer === "definition"
            ? DEFINITION
            : LIE;
          const layers = [...PACKED.layers];
          if (answer === "part") layers.splice(1, 1, new TextEncoder().encode("{{ .Secret }}"));
          const models = { readContentLayers: () => Promise.resolve(layers) };
          router.register("describe", describeServer(() => Promise.resolve(found), models));
          void router.accept(pair.far);
        } else if (answer === "nonsense") {
          void new MessageStream(pair.far).write({ kind: "described", definition: { facts: 1 } });
        }
        return Promise.resolve(pair.near);
      },
    },
  });
  return { definitions, asked, looks, state, clock, lines: telemetry.lines };
}

Deno.test("ClusterDefinitions prefers this node's own definition, paths and all", async () => {
  const { definitions, asked, state } = stage({ 2: "definition" });
  state.failure = undefined;
  assert.equal(await definitions.getDefinition("m", "generate"), DEFINITION);
  assert.deepEqual(asked, []);
});

Deno.test("ClusterDefinitions learns everything but the paths from a holder, once", async () => {
  const { definitions, asked } = stage({ 2: "definition" });
  const [one, two] = await Promise.all([
    definitions.getDefinition("m", "generate"),
    definitions.getDefinition("m", "generate"),
  ]);
  assert.deepEqual(one, DESCRIBED);
  assert.deepEqual(two, DESCRIBED);
  assert.deepEqual(await definitions.getDefinition("m", "chat"), DESCRIBED);
  assert.deepEqual(asked, ["2"]);
});

Deno.test("ClusterDefinitions takes of a holder's word only what the manifest's digests don't say", async () => {
  const { definitions, asked } = stage({ 2: "lie" });
  assert.deepEqual(await definitions.getDefinition("m", "generate"), DESCRIBED);
  assert.deepEqual(asked, ["2"]);
});

Deno.test("ClusterDefinitions believes no holder whose contents have other digests, and asks the next", async () => {
  const { definitions, asked, lines } = stage({ 2: "part", 3: "definition" });
  assert.deepEqual(await definitions.getDefinition("m", "generate"), DESCRIBED);
  assert.deepEqual(asked, ["2", "3"]);
  const [line] = lines.filter(({ event }) => event === "describe_failed");
  assert.equal(line?.level, "warn");
  assert.equal(line?.values.node, "2".repeat(16));
  const alone = stage({ 2: "part" });
  await assert.rejects(alone.definitions.getDefinition("m", "generate"), {
    message: /n2: .*described without what its manifest names: sha256:/,
  });
});

Deno.test("ClusterDefinitions asks the next holder after one that can't say, and remembers no failure", async () => {
  const { definitions, asked, clock, state } = stage({
    2: "unknown",
    3: "nonsense",
    4: "silence",
    5: "definition",
  });
  const failed = assert.rejects(definitions.getDefinition("m", "generate"), {
    code: "node_unreachable",
    message: /n2: model "m:latest" is not whole on this node; n3: .*; n4: Node 4+ does not answer/,
  });
  await clock.advance(5_000);
  await failed;
  assert.deepEqual(asked, ["2", "3", "4"]);
  state.holders = [holder("2", { health: "suspect" }), holder("5")];
  assert.equal((await definitions.getDefinition("m", "generate")).modelPath, "");
  assert.deepEqual(asked.slice(3), ["5"]);
});

Deno.test("ClusterDefinitions passes on what is wrong when nobody else can help", async () => {
  const { definitions, state, asked } = stage({ 2: "definition" });
  state.holders = [holder("2", { health: "down" })];
  await assert.rejects(definitions.getDefinition("m", "generate"), (error) => error === MISSING);
  state.holders = [holder("2")];
  state.failure = new RequestError("model_not_found", "model 'm' not found");
  await assert.rejects(definitions.getDefinition("m", "chat"), { code: "model_not_found" });
  assert.deepEqual(asked, []);
});

Deno.test("ClusterDefinitions waits until gossip tells who has a model that was just made", async () => {
  const { definitions, asked, state, clock } = stage({ 2: "definition" });
  state.holders = [];
  state.modifiedAtMs = 0;
  const found = definitions.getDefinition("m", "generate");
  await clock.advance(1_000);
  state.holders = [holder("2")];
  await clock.advance(50);
  assert.equal((await found).manifestDigest, DEFINITION.manifestDigest);
  assert.deepEqual(asked, ["2"]);
  state.holders = [];
  state.manifestDigest = "0".repeat(64);
  const never = assert.rejects(
    definitions.getDefinition("m", "chat"),
    (error) => error === MISSING,
  );
  await clock.advance(5_000);
  await never;
});

Deno.test("ClusterDefinitions keeps at most 64 models of others", async () => {
  const { definitions, state, asked } = stage({ 2: "definition" });
  for (let count = 0; count <= 64; count++) {
    state.manifestDigest = count.toString(16).padStart(64, "0");
    await definitions.getDefinition("m", "generate");
  }
  assert.equal(asked.length, 65);
  await definitions.getDefinition("m", "generate");
  assert.equal(asked.length, 65);
  state.manifestDigest = "0".repeat(64);
  await definitions.getDefinition("m", "generate");
  assert.equal(asked.length, 66);
});

Deno.test("findOwnDefinition() finds a model only under the name and manifest that were asked for", async () => {
  const name = "m";
  const models = {
    getDefinition: (asked: string) =>
      asked === name ? Promise.resolve(DEFINITION) : Promise.reject(MISSING),
  };
  const find = findOwnDefinition(models);
  const { manifestDigest } = DEFINITION;
  assert.equal(await find({ name, manifestDigest }), DEFINITION);
  assert.equal(await find({ name, manifestDigest: "other" }), undefined);
  assert.equal(await find({ name: "x", manifestDigest }), undefined);
});

Deno.test("A name that is not known here is asked for once more when the catalogue is up to date", async () => {
  const { definitions, state } = stage({});
  const unknown = new RequestError("model_not_found", "model 'x' not found");
  state.failure = unknown;
  state.standing = "current";
  assert.equal(await definitions.getDefinition("x", "generate"), DEFINITION);
  assert.equal(state.catchesUp, 1);

  state.failure = unknown;
  state.standing = "stale";
  await assert.rejects(definitions.getDefinition("x", "generate"), unknown);

  state.standing = "never";
  await assert.rejects(definitions.getDefinition("x", "generate"), { code: "no_quorum" });
});

Deno.test("A model whose holders are down is refused with their names, not with the blob that is missing", async () => {
  const { definitions, state } = stage({});
  await assert.rejects(definitions.getDefinition("x", "generate"), { code: "load_failed" });
  state.away = ["attic", "cellar"];
  await assert.rejects(definitions.getDefinition("x", "generate"), {
    code: "peer_lost",
    message:
      /is not on this node.*: attic and cellar hold it and are down; start one of them again/,
  });
});

Deno.test("ClusterDefinitions looks here once a second for what others hold, and at once where they are gone", async () => {
  const { definitions, state, clock, looks } = stage({ 2: "definition" });
  const get = () => definitions.getDefinition("m", "generate");
  for (let request = 0; request < 5; request++) assert.deepEqual(await get(), DESCRIBED);
  assert.equal(looks.count, 1);

  state.holders = [];
  await assert.rejects(get(), MISSING);
  assert.equal(looks.count, 2);

  state.holders = [holder("2")];
  assert.deepEqual(await get(), DESCRIBED);
  state.failure = undefined;
  await clock.advance(1_000);
  assert.equal(await get(), DEFINITION);
});
