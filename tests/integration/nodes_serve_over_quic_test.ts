/**
 * Whole nodes in one process over real sockets and disks: what a simulated network can't show is that datagrams, channels,
 * streams and the transport's own failures fit together.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { CatalogueCommand, SequenceRequest } from "../../src/protocol/mod.ts";
import { neededModel } from "../../src/slots/lease.ts";
import type { Lease } from "../../src/slots/scheduler_driver.ts";
import { openDisk } from "../../src/storage/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { quicPorts } from "../harness/quic_ports.ts";
import { SCRIPTED_ANSWER } from "../harness/scripted_engine.ts";
import { GREEDY } from "./engine_harness.ts";

const never = new AbortController().signal;
const SEQUENCE: SequenceRequest = {
  prompt: { kind: "text", text: "hi", addSpecial: true },
  emittedTokens: [],
  sampler: GREEDY,
  predictTokensMax: 1000,
  keepTokens: 4,
  onLongPrompt: "refuse",
  onFullContext: "stop",
  grammar: null,
  topLogprobs: -1,
};

/** Runs `use` in a world of `count` nodes. */
async function overQuic(count: number, use: (world: NodeWorld) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-quic-" });
  try {
    await using world = await NodeWorld.start(count, {
      mode: "prompt",
      flags: { listenAddress: "127.0.0.1:0", slots: "2", replicas: "1" },
      ports: (number) => ({
        ...quicPorts(),
        openDisk: () => openDisk(join(folder, `n${number}`)),
      }),
    });
    await use(world);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function putSetting(key: string, value: string, expected?: number): CatalogueCommand {
  return { kind: "put_setting", key, value, expected };
}

Deno.test("Three nodes commit over QUIC to their disks, through a leader's end and its return", () =>
  overQuic(3, async (world) => {
    for (const number of world.running) {
      const outcome = await world.group(number).propose(putSetting(`k${number}`, "1", 0));
      assert.equal(outcome.kind, "applied");
    }
    const leader = world.leader() ?? 0;
    const many = Array.from(
      { length: 300 },
      (_, index) => world.group(leader).propose(putSetting(`many${index}`, "x".repeat(1_000))),
    );
    for (const outcome of await Promise.all(many)) assert.equal(outcome.kind, "applied");

    await world.stop(leader);
    await world.until("another leads", () => world.leader() !== undefined);
    const next = world.leader() ?? 0;
    assert.notEqual(next, leader);
    const after = await world.group(next).propose(putSetting("after", "1", 0));
    assert.equal(after.kind, "applied");

    await world.boot(leader);
    const read = await world.group(leader).read(
      (catalogue) => [catalogue.findSetting("after")?.value, catalogue.findSetting("k1")?.value],
      { timeoutMs: 10_000 },
    );
    assert.deepEqual(read, ["1", "1"]);
  }));

Deno.test("Three nodes tell each other values over QUIC, miss the one that falls silent, and hear a farewell", () =>
  overQuic(3, async (world) => {
    const standing = (at: number, of: number) =>
      world.node(at).machinery.membership.find(world.machine(of).nodeId)?.standing;
    for (const number of world.running) {
      const others = world.running.filter((other) => other !== number);
      await world.until(
        "all are alive",
        () => others.every((other) => standing(number, other) === "alive"),
      );
    }
    // The load rides on datagrams, such an inventory takes frames.
    const inventory = Array.from(
      { length: 1_000 },
      (_, index) => index.toString(16).padStart(16, "0"),
    );
    world.node(2).cluster.gossip.tellInventory(inventory as never[]);
    const heard = () => world.node(3).cluster.gossip.find(world.machine(2).nodeId);
    await world.until("the values came", () => {
      const { load, inventory: { prefixes } } = heard();
      return load?.slots === 0 && prefixes.size === 1_000;
    });
    // Both: heartbeats of the group are signs of life as good as gossip's own.
    world.node(2).machinery.membership.close();
    await world.group(2).close();
    for (const number of [1, 3]) {
      await world.until("the silent one is down", () => standing(number, 2) === "down");
    }
    // Not taken down with it, whatever a loaded machine made them doubt for a moment.
    await world.until("the other is alive", () => standing(1, 3) === "alive");
    // A farewell needs no waiting for silence.
    await world.stop(3);
    await world.until("it left", () => standing(1, 3) === "left");
  }));

/** A slot that node 1 holds on node 2, and how many are held there. */
async function leased(world: NodeWorld): Promise<{ lease: Lease; running: () => number }> {
  await world.createModel(2);
  const { definitions, leases } = world.node(1).serving;
  const definition = await definitions.getDefinition("m", "generate");
  const load = {
    contextTokens: 512,
    slots: 2,
    batchTokens: 512,
    gpuLayers: 0,
    mmap: true,
    flashAttention: "auto",
    kvCacheType: "f16",
    mode: "generate",
    threads: 0,
  } as const;
  const lease = await leases.acquire({
    ...neededModel(definition, load, undefined),
    requestId: "r",
    standing: "fresh",
    promptTokens: 1,
    promptText: "hi",
    avoid: [],
  }, never);
  return { lease, running: () => world.node(2).driver.view().running };
}

Deno.test("A lease over QUIC carries an answer, long messages, and the slot back", () =>
  overQuic(2, async (world) => {
    const { lease, running } = await leased(world);
    let bytes: number[] = [];
    for await (const event of lease.model.generate(SEQUENCE, never)) {
      if (event.kind !== "tokens") continue;
      bytes = [...bytes, ...event.tokens.flatMap((token) => [...token.bytes])];
    }
    assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), SCRIPTED_ANSWER);
    const long = "long ".repeat(250_000);
    const tokens = await lease.model.tokenize(long, { addSpecial: false });
    assert.equal(tokens.length, long.length);
    assert.equal(running(), 1);
    lease.release();
    await world.until("the slot is free", () => running() === 0);
  }));

Deno.test("A lease over QUIC is cancelled through", () =>
  overQuic(2, async (world) => {
    const { lease, running } = await leased(world);
    const abort = new AbortController();
    let last = "";
    for await (const event of lease.model.generate(SEQUENCE, abort.signal)) {
      if (event.kind === "tokens") abort.abort();
      last = event.kind === "finished" ? event.reason : event.kind;
    }
    assert.equal(last, "cancelled");
    lease.release();
    await world.until("the slot is free", () => running() === 0);
  }));

Deno.test("A lease over QUIC is lost with its connection, and frees the slot", () =>
  overQuic(2, async (world) => {
    const { lease, running } = await leased(world);
    const { transport } = world.node(1).machinery;
    await assert.rejects(async () => {
      for await (const event of lease.model.generate(SEQUENCE, never)) {
        if (event.kind === "tokens") transport.disconnect(world.machine(2).nodeId);
      }
    }, { code: "runner_lost" });
    await world.until("the slot is free", () => running() === 0);
  }));
