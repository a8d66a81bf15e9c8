import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import { encodeDiscovery } from "../../protocol/mod.ts";
import {
  announce,
  type DiscoveryParts,
  findNodes,
  type HeardNode,
  type MulticastOptions,
  openMulticast,
} from "./mod.ts";

const CLUSTER = "00000000000000c1";
const OTHER = "00000000000000c2";

/** A network in memory with a clock that is moved by hand. */
class Lan implements Clock {
  #nowMs = 0;
  #timers: { atMs: number; callback: () => void }[] = [];
  readonly #ears = new Set<{ options: MulticastOptions; from: string }>();
  /** Every packet that was sent. */
  sent = 0;
  /** By those who announce, as "who hears <where>". */
  readonly heard: string[] = [];

  nowMs = () => this.#nowMs;
  monotonicMs = () => this.#nowMs;
  after(delayMs: number, callback: () => void) {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((row) => row !== timer)) };
  }

  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.#nowMs = next.atMs;
      next.callback();
    }
    this.#nowMs = endMs;
  }

  /** The network as the machine at `from` has it. */
  at(from: string): DiscoveryParts & { readonly onHeard: (node: HeardNode) => void } {
    return {
      onHeard: (node) =>
        void this.heard.push(`${from} hears ${node.hostname}:${node.port} by ${node.from}`),
      clock: this,
      onFault: (text) => assert.fail(text),
      openWire: async (options) => {
        const ear = { options, from };
        this.#ears.add(ear);
        return {
          send: (bytes) => this.shout(bytes, from),
          close: () => void this.#ears.delete(ear),
        };
      },
    };
  }

  shout(bytes: Uint8Array, from: string): void {
    this.sent++;
    for (const { options } of [...this.#ears]) options.onPacket(bytes, from);
  }
}

function announcement(clusterId: string, hostname = "", port = 11435) {
  const nodeId = "0000000000000001" as NodeId;
  return { clusterId, nodeId, hostname, port, name: "n1", version: "1.0.0" };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

function look(lan: Lan, patienceMs = 10_000) {
  const signal = new AbortController().signal;
  return findNodes(CLUSTER, { ...lan.at("10.0.0.9"), patienceMs, signal });
}

Deno.test("A node that looks for its cluster finds those of it, where they say they are", async () => {
  const lan = new Lan();
  await announce(announcement(CLUSTER), lan.at("10.0.0.1"));
  await announce(announcement(CLUSTER, "a.example", 7), lan.at("10.0.0.2"));
  await announce(announcement(OTHER), lan.at("10.0.0.3"));
  lan.advance(1_000);
  const looking = look(lan);
  await settle();
  lan.advance(300);
  const found = await looking;
  assert.deepEqual(found.map(({ hostname, port }) => `${hostname}:${port}`), [
    "10.0.0.1:11435",
    "a.example:7",
  ]);
});

Deno.test("A node that hears nobody looks until its patience ends, and asks again meanwhile", async () => {
  const lan = new Lan();
  const looking = look(lan, 10_000);
  await settle();
  lan.advance(9_999);
  assert.equal(lan.sent, 10);
  lan.advance(1);
  assert.deepEqual(await looking, []);
});

Deno.test("A node that announces itself asks who is there, and hears of others from then on", async () => {
  const lan = new Lan();
  await announce(announcement(CLUSTER), lan.at("10.0.0.1"));
  lan.advance(1_000);
  await announce(announcement(CLUSTER, "vpn.example", 7), lan.at("10.0.0.2"));
  const others = () =>
    new Set(lan.heard.filter((line) => !line.includes(`hears ${line.split(" ")[0]}`)));
  const both = new Set([
    "10.0.0.1 hears vpn.example:7 by 10.0.0.2",
    "10.0.0.2 hears 10.0.0.1:11435 by 10.0.0.1",
    "10.0.0.2 hears vpn.example:7 by 10.0.0.2",
  ]);
  assert.deepEqual(others(), both);
  await announce(announcement(OTHER, "", 9), lan.at("10.0.0.3"));
  assert.ok(
    lan.heard.includes("10.0.0.1 hears 10.0.0.3:9 by 10.0.0.3"),
    "its authority may be new",
  );
});

Deno.test("Many queries don't make a node loud", async () => {
  const lan = new Lan();
  await announce(announcement(CLUSTER), lan.at("10.0.0.1"));
  lan.advance(1_000);
  lan.sent = 0;
  const query = encodeDiscovery({ kind: "query", clusterId: CLUSTER });
  for (let count = 0; count < 1_000; count++) {
    lan.shout(query, "10.0.0.66");
    lan.advance(1);
  }
  assert.ok(lan.sent - 1_000 <= 5, `${lan.sent - 1_000} announcements in a second`);
});

Deno.test("A flood of announcements does not push out who was heard before it", async () => {
  const lan = new Lan();
  await announce(announcement(CLUSTER), lan.at("10.0.0.1"));
  lan.advance(1_000);
  const looking = look(lan);
  await settle();
  for (let port = 1; port < 1_000; port++) {
    const packet = { kind: "announcement", announcement: announcement(CLUSTER, "", port) } as const;
    lan.shout(encodeDiscovery(packet), "10.0.0.66");
    lan.shout(Uint8Array.of(port), "10.0.0.66");
  }
  lan.advance(300);
  const found = await looking;
  assert.equal(found.length, 64);
  assert.equal(found[0]?.hostname, "10.0.0.1");
});

Deno.test("A node that is closed says no more", async () => {
  const lan = new Lan();
  const announcing = await announce(announcement(CLUSTER), lan.at("10.0.0.1"));
  announcing.close();
  lan.sent = 0;
  lan.advance(60_000);
  assert.equal(lan.sent, 0);
});

Deno.test("Two nodes on this machine find each other over real multicast", async () => {
  const faults: string[] = [];
  const clock: Clock = {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  // Not the real port: a node of this machine's owner may be using it.
  const probe = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  const parts: DiscoveryParts = {
    clock,
    port,
    openWire: openMulticast,
    onFault: (text) => faults.push(text),
  };
  const announcing = await announce(announcement(CLUSTER), { ...parts, onHeard: () => {} });
  try {
    const signal = AbortSignal.timeout(10_000);
    const found = await findNodes(CLUSTER, { ...parts, patienceMs: 5_000, signal });
    assert.ok(found.length > 0, faults.join("; "));
    assert.equal(found[0]?.announcement.name, "n1");
  } finally {
    announcing.close();
  }
});
