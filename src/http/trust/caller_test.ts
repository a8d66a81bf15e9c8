import assert from "node:assert/strict";
import { canonicalAddress, networkOf } from "./hosts.ts";
import { callerOf, ownerOf } from "./caller.ts";

/** What a request counts as that came from `address`. */
function standing(
  address: string,
  headers: Record<string, string> = {},
  options: { readonly isOwn?: boolean; readonly underOwnName?: boolean } = {},
): string {
  const { isOwn = false, underOwnName = true } = options;
  const request = { headers: new Headers(headers), underOwnName, isPage: false };
  const caller = callerOf({ kind: "machine", address, isOwn }, request);
  return caller.kind === "own" ? "own" : caller.network;
}

Deno.test("only a client on this machine that asks under one of its names is its own", () => {
  const isOwn = true;
  assert.equal(standing("127.0.0.1", {}, { isOwn }), "own");
  assert.equal(standing("192.168.1.10", {}, { isOwn }), "own");
  assert.equal(standing("127.0.0.1", {}, { isOwn, underOwnName: false }), "private");
  assert.equal(standing("192.168.1.11"), "private");
  assert.equal(standing("203.0.113.9"), "public");
});

Deno.test("a request that was carried here is from afar, whoever carried it", () => {
  const own = { isOwn: true };
  for (
    const headers of [
      { "x-forwarded-for": "192.168.1.20" },
      { "x-forwarded-for": "192.168.1.20, 10.0.0.3" },
      { "x-real-ip": "fd00::5" },
      { forwarded: 'for="[fd00::5]:4711";proto=http' },
      { "x-forwarded-for": "192.168.1.20:4711", "x-forwarded-proto": "http" },
      { "x-forwarded-for": "127.0.0.1" },
    ]
  ) {
    assert.equal(standing("127.0.0.1", headers, own), "private", JSON.stringify(headers));
    assert.equal(standing("203.0.113.9", headers), "public", "the carrier itself is a stranger");
  }
  for (
    const headers of [
      { "x-forwarded-for": "203.0.113.9" },
      { "x-forwarded-for": "10.0.0.1, 203.0.113.9" },
      { "x-forwarded-for": "10.0.0.1, unknown" },
      { "x-forwarded-host": "ai.example.com" },
      { "x-real-ip": "2001:db8::1" },
      { forwarded: "for=203.0.113.9, for=10.0.0.1" },
      { forwarded: "for=_hidden" },
      { forwarded: "proto=https" },
      { via: "1.1 proxy" },
      { "cf-ray": "1", "cf-connecting-ip": "203.0.113.9" },
      { "cf-ray": "1" },
      { "tailscale-user-login": "ada" },
    ]
  ) {
    assert.equal(standing("127.0.0.1", headers, own), "public", JSON.stringify(headers));
  }
});

Deno.test("an address has one spelling and one network", () => {
  const spellings = {
    "127.0.0.1": ["127.0.0.1", "loopback"],
    "::ffff:127.0.0.1": ["127.0.0.1", "loopback"],
    "[::ffff:7f00:1]": ["127.0.0.1", "loopback"],
    "0:0:0:0:0:0:0:1": ["::1", "loopback"],
    "0.0.0.0": ["0.0.0.0", "loopback"],
    "10.1.2.3": ["10.1.2.3", "private"],
    "172.31.0.1": ["172.31.0.1", "private"],
    "172.32.0.1": ["172.32.0.1", "public"],
    "169.254.1.1": ["169.254.1.1", "private"],
    "FE80::1%eth0": ["fe80::1", "private"],
    "fd12:3456::1": ["fd12:3456::1", "private"],
    "::ffff:192.168.1.1": ["192.168.1.1", "private"],
    "100.64.0.1": ["100.64.0.1", "public"],
    "2001:db8::1": ["2001:db8::1", "public"],
    "::ffff:8.8.8.8": ["8.8.8.8", "public"],
  };
  for (const [text, [address, network]] of Object.entries(spellings)) {
    assert.equal(canonicalAddress(text), address, text);
    assert.equal(networkOf(address ?? ""), network, text);
  }
  for (const text of ["", "localhost", "1.2.3", "256.1.1.1", "1:2", ":", "g::1", "1.2.3.4.5"]) {
    assert.equal(canonicalAddress(text), undefined, text);
  }
});

Deno.test("an answer that a page of one member began is that page's on the others, and no other page's", async () => {
  const by = { access: undefined, authorization: null, authorized: undefined };
  const ownAddress = "192.168.1.10";
  const owner = (isPage: boolean, origin: string | null, isMemberOrigin: boolean) =>
    ownerOf({ kind: "own", address: "127.0.0.1", isPage }, by, {
      ownAddress,
      origin,
      isMemberOrigin,
    });
  const begun = await owner(false, "http://127.0.0.1:11434", false);
  assert.equal(await owner(true, "http://127.0.0.1:11434", true), begun);
  assert.notEqual(await owner(true, "http://localhost:3000", false), begun);
});
