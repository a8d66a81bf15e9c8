import assert from "node:assert/strict";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { encodeDatagram } from "../harness/datagrams.ts";
import { MembershipWorld } from "./membership_world.ts";

const timing = MEMBERSHIP_PRESETS.lan;

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("Membership carries small values to all within a second at 10 % loss", () => {
  const world = new MembershipWorld({ seed: 1, nodeCount: 10, timing, lossPercent: 10 });
  world.advance(2_000);
  for (let turn = 0; turn < 20; turn++) {
    world.tell(0, { kind: "value_published", key: "load", value: bytes(`${turn}`) });
    assert.ok(world.until(1_000, () => allHold("load", bytes(`${turn}`))), `turn ${turn}`);
  }

  function allHold(key: string, value: Uint8Array): boolean {
    const { nodeId } = world.node(0);
    return world.nodes.every((node) => {
      const held = node.membership.values(nodeId).get(key);
      return held !== undefined && held.join() === value.join();
    });
  }
});

Deno.test("Membership carries long values over streams, and deletions for good", () => {
  const world = new MembershipWorld({ seed: 2, nodeCount: 10, timing });
  world.advance(2_000);
  const { nodeId } = world.node(3);
  const long = new Uint8Array(8_000).fill(7);
  world.tell(3, { kind: "value_published", key: "inventory", value: long });
  const holders = () =>
    world.nodes.filter((node) => node.membership.values(nodeId).has("inventory")).length;
  assert.ok(world.until(3_000, () => holders() === 10));
  world.cut = (from, to) => from === 5 || to === 5;
  world.advance(1_000);
  world.tell(3, { kind: "value_published", key: "inventory", value: undefined });
  assert.ok(world.until(3_000, () => holders() === 1), `holders ${holders()}`);
  world.cut = () => false;
  assert.ok(world.until(120_000, () => holders() === 0));
});

Deno.test("Membership forgets the values of an earlier life", () => {
  const world = new MembershipWorld({ seed: 3, nodeCount: 4, timing });
  world.advance(1_000);
  const { nodeId } = world.node(1);
  world.tell(1, { kind: "value_published", key: "load", value: bytes("9") });
  assert.ok(world.until(2_000, () => world.node(3).membership.values(nodeId).size === 1));
  world.crash(1);
  world.restart(1);
  world.join(1, 0);
  assert.ok(world.until(2_000, () => world.converged() && livesMatch()));
  assert.equal(world.node(3).membership.values(nodeId).size, 0);

  function livesMatch(): boolean {
    return world.node(3).membership.find(nodeId)?.bootEpoch === 2;
  }
});

/** Node 3 of five tells a value that is lost on its way to node 4 alone. */
function worldWithLoss(): { world: MembershipWorld; holds: () => boolean } {
  const world = new MembershipWorld({ seed: 4, nodeCount: 5, timing });
  world.advance(2_000);
  world.tell(3, { kind: "value_published", key: "load", value: bytes("1") });
  world.advance(500);
  world.cut = (from, to) => from === 3 && to === 4;
  world.tell(3, { kind: "value_published", key: "load", value: bytes("2") });
  world.advance(150);
  world.cut = () => false;
  const { nodeId } = world.node(3);
  const holds = () => {
    const held = world.node(4).membership.values(nodeId).get("load") ?? new Uint8Array();
    return new TextDecoder().decode(held) === "2";
  };
  assert.ok(!holds(), "the loss did not strike");
  return { world, holds };
}

Deno.test("Membership makes up for a value that was lost with a connection", () => {
  const { world, holds } = worldWithLoss();
  world.tell(3, { kind: "connection_lost", to: world.node(4).nodeId });
  assert.ok(world.until(3_000, holds));
});

Deno.test("Membership asks a node for the change before the one that it hears", () => {
  const { world, holds } = worldWithLoss();
  world.tell(3, { kind: "value_published", key: "other", value: bytes("3") });
  assert.ok(world.until(300, holds));
});

Deno.test("Membership asks a node for a value that others tell of", () => {
  const { world, holds } = worldWithLoss();
  const { nodeId } = world.node(3);
  const stamp = world.node(2).persisted;
  const said = encodeDatagram({
    source: stamp,
    body: { kind: "gossip" },
    piggyback: {
      accusation: undefined,
      claims: [],
      values: [{ nodeId, bootEpoch: 1, version: 2, entry: undefined }],
    },
  });
  const from = world.node(2).nodeId;
  world.tell(4, { kind: "datagram_received", from, bytes: said });
  assert.ok(world.until(2_000, holds));
});

Deno.test("Membership tells a new node the values of all within two seconds, each by itself", () => {
  const world = new MembershipWorld({ seed: 5, nodeCount: 200, timing, acquainted: false });
  for (let index = 1; index < 199; index++) {
    world.join(index, 0);
    world.tell(index, { kind: "value_published", key: "load", value: bytes(`${index}`) });
  }
  world.advance(20_000);
  world.join(199, 7);
  world.tell(199, { kind: "value_published", key: "load", value: bytes("199") });
  const knowsAll = (at: number) =>
    world.nodes.filter(({ nodeId }) => world.node(at).membership.values(nodeId).size > 0).length >=
      199;
  assert.ok(world.until(2_000, () => knowsAll(199)), "the new one does not know all");
  const { nodeId } = world.node(199);
  const told = () => world.nodes.filter(({ membership }) => membership.values(nodeId).size > 0);
  assert.ok(world.until(2_000, () => told().length === 200), `${told().length} know the new one`);
});
