import assert from "node:assert/strict";
import { type Incarnation, type NodeId, Random } from "../../base/mod.ts";
import { decodeSync, encodeSync, type MembershipSync } from "../../protocol/mod.ts";
import { Membership, MEMBERSHIP_PRESETS, type MembershipEffect } from "./mod.ts";

const timing = MEMBERSHIP_PRESETS.lan;
const idOf = (index: number) => index.toString(16).padStart(16, "0") as NodeId;

/** Memberships that talk over streams only, so that nothing but push-pull carries what they know. */
class Streams {
  readonly members = new Map<NodeId, Membership>();
  sent: { from: NodeId; to: NodeId; bytes: Uint8Array }[] = [];
  /** Kinds of all messages delivered, in order. */
  kinds: MembershipSync["body"]["kind"][] = [];
  changed: string[] = [];
  #nowMs = 0;

  add(index: number): NodeId {
    const nodeId = idOf(index);
    const membership = new Membership({
      nodeId,
      address: `n${index}:1`,
      bootEpoch: 1,
      incarnation: 0 as Incarnation,
      timing,
    }, new Random(index));
    this.members.set(nodeId, membership);
    this.#take(nodeId, membership.step({ kind: "started", nowMs: this.#nowMs }));
    return nodeId;
  }

  publish(nodeId: NodeId, key: string, value: Uint8Array | undefined): void {
    const effects = this.members.get(nodeId)?.step({
      kind: "value_published",
      key,
      value,
      nowMs: this.#nowMs,
    });
    this.#take(nodeId, effects ?? []);
  }

  /** One node opens a push-pull with another; ends when no message is under way. */
  join(nodeId: NodeId, seed: NodeId): void {
    const seeds = [{ nodeId: seed, address: "seed:1" }];
    this.#take(
      nodeId,
      this.members.get(nodeId)?.step({ kind: "join_requested", seeds, nowMs: this.#nowMs }) ?? [],
    );
    this.#deliver();
  }

  /** Lets time pass in steps that no node takes for a stall. */
  advance(spanMs: number): void {
    for (const endMs = this.#nowMs + spanMs; this.#nowMs < endMs;) {
      this.#nowMs += 20;
      const event = { kind: "clock_read", wallMs: this.#nowMs, nowMs: this.#nowMs } as const;
      for (const [nodeId, membership] of this.members) this.#take(nodeId, membership.step(event));
      this.#deliver();
    }
  }

  #deliver(): void {
    for (let next = this.sent.shift(); next !== undefined; next = this.sent.shift()) {
      const decoded = decodeSync(next.bytes);
      assert.ok(decoded.kind === "decoded");
      this.kinds.push(decoded.value.body.kind);
      const { from, to, bytes } = next;
      const event = { kind: "stream_received", from, bytes, nowMs: this.#nowMs } as const;
      this.#take(to, this.members.get(to)?.step(event) ?? []);
    }
  }

  known(nodeId: NodeId): string[] {
    return this.members.get(nodeId)?.view().members.map((member) => member.nodeId) ?? [];
  }

  value(of: NodeId, at: NodeId, key: string): Uint8Array | undefined {
    return this.members.get(at)?.values(of).get(key);
  }

  #take(from: NodeId, effects: readonly MembershipEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "send_stream") {
        this.sent.push({ from, to: effect.nodeId, bytes: effect.bytes });
      }
      if (effect.kind === "values_changed") this.changed.push(...effect.keys);
    }
  }
}

Deno.test("Push-pull brings both sides all members and each other's values, and those of third ones from themselves", () => {
  const streams = new Streams();
  const [a, b, c, d] = [streams.add(1), streams.add(2), streams.add(3), streams.add(4)];
  streams.publish(a, "load", Uint8Array.of(1));
  streams.publish(c, "inventory", new Uint8Array(5_000).fill(3));
  streams.publish(d, "load", Uint8Array.of(4));
  streams.join(a, b);
  streams.join(c, d);
  streams.kinds = [];
  streams.join(a, c);
  const [first, second, ...updates] = streams.kinds;
  assert.deepEqual([first, second], ["sync_request", "sync_rows"]);
  assert.ok(updates.length <= 3 && updates.every((kind) => kind === "sync_update"));
  assert.deepEqual(streams.known(a), [b, c, d]);
  assert.deepEqual(streams.known(c), [a, b, d]);
  assert.deepEqual(streams.value(a, c, "load"), Uint8Array.of(1));
  assert.equal(streams.value(c, a, "inventory")?.length, 5_000);
  assert.ok(streams.changed.includes("inventory"));
  assert.equal(streams.value(d, a, "load"), undefined, "c's word for d's value was taken");
  streams.advance(2_000);
  assert.deepEqual(streams.value(d, a, "load"), Uint8Array.of(4));
});

Deno.test("Push-pull between equal lists is one message", () => {
  const streams = new Streams();
  const [a, b] = [streams.add(1), streams.add(2)];
  for (let round = 0; round < 2; round++) streams.join(a, b);
  streams.kinds = [];
  streams.join(b, a);
  assert.deepEqual(streams.kinds, ["sync_request"]);
});

Deno.test("Push-pull carries deletions, and values only once", () => {
  const streams = new Streams();
  const [a, b] = [streams.add(1), streams.add(2)];
  streams.publish(a, "load", Uint8Array.of(1));
  streams.publish(a, "kept", Uint8Array.of(2));
  streams.join(a, b);
  streams.join(a, b);
  streams.changed = [];
  streams.publish(a, "load", undefined);
  streams.join(b, a);
  streams.join(b, a);
  assert.equal(streams.value(a, b, "load"), undefined);
  assert.deepEqual(streams.value(a, b, "kept"), Uint8Array.of(2));
  assert.deepEqual(streams.changed, ["load"]);
});

Deno.test("Push-pull stops at the rows it was asked for, in whole buckets", () => {
  const streams = new Streams();
  const [a, b] = [streams.add(1), streams.add(2)];
  for (let index = 3; index < 200; index++) streams.join(streams.add(index), a);
  streams.join(b, a);
  assert.equal(streams.known(b).length, 198);
  // Asked for 50 rows by an ordinary push-pull of a node that knows nothing:
  const asker = idOf(900);
  const stamp = { bootEpoch: 1, incarnation: 0 as Incarnation };
  const self = {
    nodeId: asker,
    standing: "alive",
    ...stamp,
    address: "x:1",
    accuser: undefined,
  } as const;
  const bytes = encodeSync({
    source: stamp,
    body: {
      kind: "sync_request",
      salt: 5,
      rowsMax: 50,
      self,
      bucketHashes: new Array<number>(64).fill(5),
    },
  });
  const effects = streams.members.get(a)?.step({
    kind: "stream_received",
    from: asker,
    bytes,
    nowMs: 0,
  }) ?? [];
  const answer = effects.find((effect) => effect.kind === "send_stream");
  assert.ok(answer?.kind === "send_stream");
  const decoded = decodeSync(answer.bytes);
  assert.ok(decoded.kind === "decoded" && decoded.value.body.kind === "sync_rows");
  assert.ok(decoded.value.body.rows.length > 30 && decoded.value.body.rows.length <= 50);
});

Deno.test("Push-pull takes a node's introduction from itself only, and nothing malformed", () => {
  const streams = new Streams();
  const a = streams.add(1);
  const stamp = { bootEpoch: 1, incarnation: 0 as Incarnation };
  const self = {
    nodeId: idOf(7),
    standing: "alive",
    ...stamp,
    address: "x:1",
    accuser: undefined,
  } as const;
  const body = { kind: "sync_request", salt: 5, rowsMax: 5, self } as const;
  const bytes = encodeSync({
    source: stamp,
    body: { ...body, bucketHashes: new Array<number>(64).fill(5) },
  });
  const membership = streams.members.get(a);
  assert.ok(membership);
  membership.step({ kind: "stream_received", from: idOf(8), bytes, nowMs: 0 });
  assert.deepEqual(streams.known(a), []);
  const cut = bytes.slice(0, 20);
  const effects = membership.step({ kind: "stream_received", from: idOf(7), bytes: cut, nowMs: 0 });
  const note = effects.find((effect) => effect.kind === "note");
  assert.ok(note?.kind === "note" && note.event === "malformed_message");
});
