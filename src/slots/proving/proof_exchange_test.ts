import assert from "node:assert/strict";
import { type NodeId, UnavailableError } from "../../base/mod.ts";
import { StreamRouter } from "../../calls/stream_router.ts";
import type { PeerStream } from "../../ports/mod.ts";
import type { ExactProof, LoadSettings } from "../../protocol/mod.ts";
import { HandClock, settle } from "../../../tests/harness/hand_clock.ts";
import { streamPair } from "../../../tests/harness/peer_streams.ts";
import { RecordingTelemetry } from "../../../tests/harness/scripted_client.ts";
import { ProofExchange } from "./proof_exchange.ts";
import { ProofBook, PROOFS_PER_MODEL_MAX } from "./proofs.ts";

const PROOF: ExactProof = {
  ...{ of: "build/cpu", policy: "short", reason: "", isFinished: true, anyThreads: true },
  ...{ prefillRatio: 0.9, decodeRatio: 1, proofMs: 1_000 },
};
const MODEL = { modelPath: "/a/sha256-1", adapterPaths: [] } as unknown as LoadSettings;

/** Nodes that hear each other unless one is silent. */
class Nodes {
  readonly clock = new HandClock();
  readonly telemetry = new RecordingTelemetry();
  readonly silent = new Set<NodeId>();
  readonly #routers = new Map<NodeId, StreamRouter>();

  add(digit: string) {
    const { clock, telemetry } = this;
    const self = digit.repeat(16) as NodeId;
    const router = new StreamRouter({ clock, log: telemetry, metrics: telemetry });
    this.#routers.set(self, router);
    const book = new ProofBook();
    const exchange = new ProofExchange({ book, clock, log: telemetry });
    const members = () =>
      [...this.#routers.keys()].filter((nodeId) => nodeId !== self)
        .map((nodeId) => ({ address: { nodeId, address: "" }, standing: "alive" }));
    const openStream = (peer: { readonly nodeId: NodeId }) => this.#open(self, peer.nodeId);
    exchange.join({ transport: { openStream }, router, views: { members } });
    return { self, book, exchange };
  }

  #open(from: NodeId, to: NodeId): Promise<PeerStream> {
    const { near, far } = streamPair(from, to);
    const router = this.#routers.get(to);
    if (router === undefined) return Promise.reject(new UnavailableError("peer_lost", "gone"));
    if (!this.silent.has(to)) void router.accept(far);
    return Promise.resolve(near);
  }
}

Deno.test("What one node has proven is known to all, also to one that comes when it is gone", async () => {
  const nodes = new Nodes();
  const [one, two] = [nodes.add("1"), nodes.add("2")];
  one.book.add(MODEL, PROOF);
  await settle();
  assert.deepEqual(two.book.find("sha256-1"), [PROOF]);
  nodes.silent.add(one.self);
  const three = nodes.add("3");
  assert.deepEqual(await three.exchange.ask("sha256-1"), [PROOF]);
  assert.deepEqual(three.book.find("sha256-1"), [PROOF]);
});

Deno.test("A load waits for a quarter of a second at most for what silent nodes may have proven, and not for nodes that know nothing", async () => {
  const nodes = new Nodes();
  const [one, two] = [nodes.add("1"), nodes.add("2")];
  assert.deepEqual(await one.exchange.ask("sha256-1"), []);
  nodes.silent.add(two.self);
  let known: readonly ExactProof[] | undefined;
  void one.exchange.ask("sha256-1").then((proofs) => known = proofs);
  await nodes.clock.advance(249);
  assert.equal(known, undefined);
  await nodes.clock.advance(1);
  assert.deepEqual(known, []);
});

Deno.test("A node neither believes that another found no way, nor gives up for it what it has proven itself", async () => {
  const nodes = new Nodes();
  const [one, two] = [nodes.add("1"), nodes.add("2")];
  const { policy: _, ...none } = PROOF;
  const own = { ...PROOF, policy: "paired" } as const;
  two.book.add(MODEL, own);
  one.book.add(MODEL, { ...none, of: "other/cpu" });
  one.book.add(MODEL, { ...PROOF, isFinished: false });
  one.book.add(MODEL, PROOF);
  for (let at = 0; at < 2 * PROOFS_PER_MODEL_MAX; at++) {
    one.book.add(MODEL, { ...PROOF, of: `cpu ${at}` });
    await settle();
  }
  const known = two.book.find("sha256-1");
  assert.equal(known.length, PROOFS_PER_MODEL_MAX);
  assert.ok(known.every(({ policy }) => policy !== undefined));
  assert.deepEqual(known.filter(({ of }) => of === PROOF.of), [own]);
});
