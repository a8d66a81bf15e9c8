import assert from "node:assert/strict";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
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
