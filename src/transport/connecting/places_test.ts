import assert from "node:assert/strict";
import { Places } from "./places.ts";

function takeAll(places: Places, hosts: readonly string[]): readonly string[] {
  const evicted: string[] = [];
  for (const [at, host] of hosts.entries()) {
    if (places.take(host, () => evicted.push(`${host} ${at}`)) === undefined) {
      evicted.push(`${host} refused`);
    }
  }
  return evicted;
}

Deno.test("Places are anybody's while there are enough", () => {
  const places = new Places(4);
  assert.deepEqual(takeAll(places, ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"]), []);
  assert.equal(places.takenCount, 4);
});

Deno.test("When no place is left, the oldest of the address that has most goes to one that has fewer", () => {
  const places = new Places(4);
  const hosts = ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"];
  assert.deepEqual(takeAll(places, hosts), ["10.0.0.1 0"]);
  // Now two, one and one: another of the first address would only take its own.
  assert.deepEqual(takeAll(places, ["10.0.0.1"]), ["10.0.0.1 refused"]);
  assert.equal(places.takenCount, 4);
});

Deno.test("Whoever takes all places from one address keeps no other out", () => {
  const places = new Places(64);
  takeAll(places, Array.from({ length: 500 }, () => "10.0.0.1"));
  const others = Array.from({ length: 20 }, (_, at) => `10.0.1.${at}`);
  assert.ok(takeAll(places, others).every((gone) => gone.startsWith("10.0.0.1 ")));
});

Deno.test("A place that was given back is free, once", () => {
  const places = new Places(1);
  const place = places.take("10.0.0.1", () => {}) ?? assert.fail();
  assert.equal(places.take("10.0.0.2", () => {}), undefined);
  place.release();
  place.release();
  assert.equal(places.takenCount, 0);
  assert.ok(places.take("10.0.0.2", () => {}));
});

Deno.test("Addresses of one network of IPv6 count as one, and mapped ones as of IPv4", () => {
  const all = ["2001:db8:0:1::5", "2001:db8:0:1:ffff::9", "::ffff:10.0.0.1", "10.0.0.1"];
  const places = new Places(3);
  assert.deepEqual(takeAll(places, [...all.slice(0, 2), all[0] ?? "", "10.0.0.1"]), [
    `${all[0]} 0`,
  ]);
  assert.deepEqual(takeAll(new Places(2), ["::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"]), [
    "::ffff:10.0.0.1 0",
  ]);
});
