import assert from "node:assert/strict";
import { holderOf, OWN_MACHINE, Places } from "./places.ts";

const LIMITS = { connectionsMax: 8, connectionsPerAddressMax: 2 };

Deno.test("an address gets its share of the places and not one more", () => {
  const places = new Places(LIMITS);
  places.take("a");
  places.take("a");
  assert.equal(places.refusalFor("a"), "address_has_its_share");
  assert.equal(places.refusalFor("b"), undefined);
  places.free("a");
  assert.equal(places.refusalFor("a"), undefined);
});

Deno.test("this machine's own clients leave a quarter of the places to others", () => {
  const places = new Places(LIMITS);
  for (let taken = 0; taken < 6; taken++) {
    assert.equal(places.refusalFor(OWN_MACHINE), undefined);
    places.take(OWN_MACHINE);
  }
  assert.equal(places.refusalFor(OWN_MACHINE), "address_has_its_share");
  places.take("a");
  places.take("b");
  assert.equal(places.refusalFor("c"), "all_taken");
  places.free(OWN_MACHINE);
  assert.equal(places.refusalFor("c"), undefined);
  assert.equal(places.count, 7);
});

for (
  const [address, holder] of [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8::9", "2001:db8:0:0"],
    ["fe80::1%eth0", "fe80:0:0:0"],
    ["::9", "0:0:0:0"],
  ] as const
) {
  Deno.test(`connections from ${address} count as those of ${holder}`, () => {
    assert.equal(holderOf(address), holder);
  });
}
