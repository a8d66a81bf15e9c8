import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import { VALUE_KEYS_MAX } from "./timing.ts";
import { MemberValues } from "./values.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const sync = (from: MemberValues, to: MemberValues) => {
  const { version: fromVersion, collectedVersion } = to;
  return to.applyDelta(from.deltaSince({ fromVersion, collectedVersion }));
};

Deno.test("MemberValues brings a copy up to date by deltas only", () => {
  const [owner, copy] = [new MemberValues(), new MemberValues()];
  owner.publish("load", bytes("1"));
  owner.publish("inventory", bytes("a"));
  assert.deepEqual(sync(owner, copy), ["inventory", "load"]);
  owner.publish("load", bytes("2"));
  const delta = owner.deltaSince({ fromVersion: copy.version, collectedVersion: 0 });
  assert.deepEqual(delta.entries.map((entry) => entry.key), ["load"]);
  assert.deepEqual(copy.applyDelta(delta), ["load"]);
  assert.deepEqual(copy.present(), owner.present());
});

Deno.test("MemberValues never goes back to an older value, whatever the order of rumours", () => {
  const [owner, copy] = [new MemberValues(), new MemberValues()];
  const first = owner.publish("load", bytes("1"));
  const second = owner.publish("load", bytes("2"));
  assert.ok(typeof first !== "string" && typeof second !== "string");
  assert.equal(copy.applyRumor(second), true);
  assert.equal(copy.applyRumor(first), false);
  assert.equal(copy.version, 0, "a gap is not passed over");
  sync(owner, copy);
  assert.equal(copy.version, 2);
});

Deno.test("MemberValues does not bring back a deleted key (chitchat)", () => {
  const [owner, awake, away] = [new MemberValues(), new MemberValues(), new MemberValues()];
  const old = owner.publish("gone", bytes("x"));
  owner.publish("kept", bytes("y"));
  assert.ok(typeof old !== "string");
  sync(owner, awake);
  sync(owner, away);
  owner.publish("gone", undefined);
  // Filling the table collects the deletion.
  for (let key = 0; key < VALUE_KEYS_MAX - 1; key++) owner.publish(`key-${key}`, bytes("z"));
  for (let key = 0; key < 3; key++) owner.publish(`key-${key}`, undefined);
  // Room again, so that nothing but the collected version keeps a deleted key out.
  owner.publish("new", bytes("n"));
  assert.equal(owner.collectedVersion > 0, true);
  sync(owner, awake);
  assert.equal(awake.applyRumor(old), false);
  const late = away.deltaSince({ fromVersion: 0, collectedVersion: 0 });
  assert.deepEqual(awake.applyDelta(late), [], "nor does a late answer");
  assert.deepEqual(sync(away, awake), [], "a member that was away has nothing to teach");
  assert.ok(sync(owner, away).includes("gone"));
  for (const copy of [awake, away]) assert.deepEqual(copy.present(), owner.present());
});

Deno.test("MemberValues refuses what passes its limits and keeps what it has", () => {
  const owner = new MemberValues();
  assert.equal(owner.publish("", bytes("x")), "bad_key");
  assert.equal(owner.publish("with space", bytes("x")), "bad_key");
  assert.equal(owner.publish("long", new Uint8Array(8 * 1024 + 1)), "value_too_long");
  for (let key = 0; key < 5; key++) owner.publish(`big-${key}`, new Uint8Array(8 * 1024));
  assert.equal(owner.publish("big-5", new Uint8Array(8 * 1024)), "too_many_bytes");
  assert.equal(owner.version, 5);
});

Deno.test("MemberValues converges for any exchange of rumours and deltas", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed);
    const owner = new MemberValues();
    const copies = Array.from({ length: 3 }, () => new MemberValues());
    const rumors = [];
    for (let turn = 0; turn < 300; turn++) {
      const key = `key-${random.below(VALUE_KEYS_MAX + 6)}`;
      const entry = owner.publish(key, random.chance(1, 3) ? undefined : bytes(`${turn}`));
      if (typeof entry !== "string") rumors.push(entry);
      const copy = random.pick(copies);
      const rumor = random.pick(rumors);
      if (copy !== undefined && rumor !== undefined) copy.applyRumor(rumor);
      const from = random.chance(1, 3) ? owner : random.pick(copies);
      if (copy !== undefined && from !== undefined && random.chance(1, 4)) sync(from, copy);
    }
    for (const copy of copies) {
      sync(owner, copy);
      assert.deepEqual(copy.present(), owner.present(), `seed ${seed}`);
    }
  }
});

Deno.test("MemberValues counts a value that is said anew once", () => {
  const owner = new MemberValues();
  for (let round = 0; round < 200; round++) {
    const entry = owner.publish("load", new Uint8Array(1_000).fill(round));
    assert.ok(typeof entry !== "string", `refused in round ${round}: ${String(entry)}`);
  }
});
