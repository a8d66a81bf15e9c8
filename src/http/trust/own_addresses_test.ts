import assert from "node:assert/strict";
import { ownAddresses } from "./own_addresses.ts";

Deno.test("an address is this machine's in any spelling, and for a second after it was given up", () => {
  let held = ["192.168.1.10", "fe80::1%eth0"];
  let nowMs = 0;
  let reads = 0;
  const isOwn = ownAddresses({
    read: () => {
      reads++;
      return held;
    },
    monotonicMs: () => nowMs,
  });
  for (const own of ["192.168.1.10", "::ffff:192.168.1.10", "FE80::1", "127.0.0.1", "::1"]) {
    assert.ok(isOwn(own), own);
  }
  for (const other of ["192.168.1.11", "evil.example", "", "8.8.8.8"]) assert.ok(!isOwn(other));
  assert.equal(reads, 1);
  held = ["192.168.1.11"];
  nowMs = 999;
  assert.ok(isOwn("192.168.1.10"));
  nowMs = 1_000;
  assert.ok(!isOwn("192.168.1.10"));
  assert.ok(isOwn("192.168.1.11"));
});
