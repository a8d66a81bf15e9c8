import assert from "node:assert/strict";
import { type Incarnation, type NodeId, Random } from "../../src/base/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { decodeSync, encodeSync, type SyncRow, type ValueEntry } from "../../src/protocol/mod.ts";
import { encodeDatagram } from "../harness/datagrams.ts";
import { MembershipWorld } from "../sim/membership_world.ts";

const timing = MEMBERSHIP_PRESETS.lan;
const LIES = 1_000;
const LIAR = 4;
const VICTIM = 1;
const stamp = { bootEpoch: 1, incarnation: 0 as Incarnation };
const bytes = (text: string) => new TextEncoder().encode(text);

/** Five nodes that have told each other their load and what they hold, and who was named as a liar by how many lies. */
class Scene {
  readonly world = new MembershipWorld({ seed: 7, nodeCount: 5, timing });
  readonly random = new Random(11);
  /** By observer, then by the liar's id. */
  readonly named = new Map<number, Map<NodeId, number>>();

  constructor() {
    this.world.onNote = (node, { event, values }) => {
      if (event !== "lie_refused") return;
      const counts = this.named.get(node) ?? new Map<NodeId, number>();
      this.named.set(node, counts);
      const from = values.from as NodeId;
      counts.set(from, 1 + (counts.get(from) ?? 0));
    };
    this.world.advance(1_000);
    for (const { index } of this.world.nodes) {
      for (const key of ["load", "loaded", "inventory.0"]) this.publish(index, key, `of ${index}`);
    }
    for (const turn of [1, 2, 3]) this.publish(VICTIM, "load", `load ${turn}`);
    this.world.advance(2_000);
    assert.equal(this.held().size, 5 * 5 * 3, "not all was told before the first lie");
  }

  publish(index: number, key: string, value: string): void {
    this.world.tell(index, { kind: "value_published", key, value: bytes(value) });
  }

  /** Every value of everyone, as everyone but the liar holds it and as it does. */
  held(): Map<string, string> {
    const held = new Map<string, string>();
    for (const { index, membership } of this.world.nodes) {
      for (const { index: subject, nodeId } of this.world.nodes) {
        for (const [key, value] of membership.values(nodeId)) {
          held.set(`${subject} ${key} at ${index}`, new TextDecoder().decode(value));
        }
      }
    }
    return held;
  }

  id(index: number): NodeId {
    return this.world.node(index).nodeId;
  }

  /** A change that the victim never made, of a version that it has come to or will come to. */
  forged(): ValueEntry {
    const key = this.random.pick(["load", "loaded", "inventory.0", "inventory.1"]) ?? "";
    const value = this.random.chance(1, 8) ? undefined : bytes(`forged ${this.random.uint32()}`);
    return { key, version: 1 + this.random.below(10), value };
  }

  /** The liar says it to each of the others, the victim too. */
  tell(kind: "datagram_received" | "stream_received", message: Uint8Array): void {
    for (const { index } of this.world.nodes) {
      if (index !== LIAR) this.world.tell(index, { kind, from: this.id(LIAR), bytes: message });
    }
  }

  update(rows: readonly SyncRow[], entries: readonly ValueEntry[], toVersion: number): void {
    const nodeId = this.id(VICTIM);
    const range = { fromVersion: 0, toVersion, collectedVersion: this.random.below(20) };
    const deltas = entries.length === 0 ? [] : [{ nodeId, bootEpoch: 1, ...range, entries }];
    const body = { kind: "sync_update", rows, deltas, wants: [] } as const;
    this.tell("stream_received", encodeSync({ source: stamp, body }));
  }
}

type Lie = (scene: Scene) => void;

const ATTACKS: Readonly<Record<string, Lie>> = {
  "values on datagrams": (scene) => {
    const entry = scene.forged();
    const { version } = entry;
    const rumor = { nodeId: scene.id(VICTIM), bootEpoch: 1, version, entry };
    const piggyback = { accusation: undefined, claims: [], values: [rumor] };
    const body = { kind: "gossip" } as const;
    scene.tell("datagram_received", encodeDatagram({ source: stamp, body, piggyback }));
  },
  "word of versions on datagrams": (scene) => {
    const version = 6 + scene.random.below(2 ** 30);
    const rumor = { nodeId: scene.id(VICTIM), bootEpoch: 1, version, entry: undefined };
    const piggyback = { accusation: undefined, claims: [], values: [rumor] };
    const body = { kind: "gossip" } as const;
    scene.tell("datagram_received", encodeDatagram({ source: stamp, body, piggyback }));
  },
  "changes on streams": (scene) => {
    const entry = scene.forged();
    scene.update([], [entry], scene.random.pick([entry.version, 2 ** 40, 2 ** 52]) ?? 1);
  },
  "versions in lists": (scene) => {
    const claim = {
      nodeId: scene.id(VICTIM),
      standing: "alive",
      ...stamp,
      address: "10.0.0.1:11435",
      accuser: undefined,
    } as const;
    const valueVersion = 6 + scene.random.below(2 ** 30);
    const row = { claim, goneSeconds: 0, valueVersion, collectedVersion: valueVersion };
    const body = { kind: "sync_rows", buckets: [], rows: [row] } as const;
    scene.tell("stream_received", encodeSync({ source: stamp, body }));
  },
};

for (const [what, lie] of Object.entries(ATTACKS)) {
  Deno.test(`A member that forges another's ${what} a thousand times changes nothing and is named`, () => {
    const scene = new Scene();
    const before = scene.held();
    let sent = 0;
    scene.world.onSent = () => sent++;
    for (let said = 0; said < LIES; said++) {
      lie(scene);
      scene.world.advance(10);
      if (said % 100 === 0) assert.deepEqual(scene.held(), before);
    }
    scene.world.advance(5_000);
    assert.deepEqual(scene.held(), before);
    for (const { index } of scene.world.nodes) {
      if (index === LIAR) continue;
      const named = [...scene.named.get(index) ?? []];
      assert.deepEqual(named.map(([from]) => from), [scene.id(LIAR)], `at ${index}`);
    }
    assert.ok(sent < 6_000, `${sent} messages were sent for ${LIES} lies`);
    // Everyone goes on: what the victim says next is taken everywhere, whatever was said in its name.
    scene.publish(VICTIM, "load", "true");
    scene.publish(VICTIM, "inventory.0", "true");
    scene.world.advance(2_000);
    for (const { index } of scene.world.nodes) {
      for (const key of ["load", "inventory.0"]) {
        assert.equal(scene.held().get(`${VICTIM} ${key} at ${index}`), "true");
      }
    }
  });
}

Deno.test("Nobody hands on what another node says of itself", () => {
  const scene = new Scene();
  const owners = new Set<NodeId>();
  scene.world.onSent = (kind, message) => {
    if (kind !== "stream") return;
    const decoded = decodeSync(message);
    assert.ok(decoded.kind === "decoded");
    const { body } = decoded.value;
    if (body.kind === "sync_update") { for (const { nodeId } of body.deltas) owners.add(nodeId); }
  };
  scene.publish(VICTIM, "load", "other");
  scene.world.advance(60_000);
  assert.deepEqual([...owners], [scene.id(VICTIM)]);
});
