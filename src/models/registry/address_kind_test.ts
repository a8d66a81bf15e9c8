import assert from "node:assert/strict";
import { addressKind } from "./address_kind.ts";

const KINDS = {
  public: ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8"],
  private: [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "fd00::1",
    "fc00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::192.168.0.1",
  ],
  loopback: [
    "127.0.0.1",
    "127.255.0.1",
    "::1",
    "0.0.0.0",
    "::",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
  ],
  link_local: ["169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.0.1"],
  special: ["224.0.0.1", "255.255.255.255", "ff02::1", "240.0.0.1", "2002:a00:1::", "x", ""],
};

Deno.test("addressKind() tells whose an address can be, in every spelling", () => {
  for (const [kind, addresses] of Object.entries(KINDS)) {
    for (const address of addresses) assert.equal(addressKind(address), kind, address);
  }
});
